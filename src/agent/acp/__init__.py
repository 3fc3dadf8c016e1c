"""The assistant behind the Agent Client Protocol, which Zed, JetBrains and others speak.

The protocol is spoken by its own library. PydanticAI's harness could serve a bare `Agent` too, but
past our permissions, sessions and checkpoints.
"""
