"""The `mailio` command: a client of the node's API.

Nothing is imported here and little in its modules: a command that asks a running node is to be quick.
"""
