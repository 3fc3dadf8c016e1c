"""`agent doctor`: what works here, what does not, and what to do about it.

A check is a function that returns one `finding.Finding`; one about the endpoint gets a
`probe.Probe` to ask with. `examine.examine` runs them all.
"""
