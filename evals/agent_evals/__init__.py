"""The discrimination benchmark: does a model know when to call a tool, and does it call right?"""
