"""The ground the other rooms stand on. Its modules are its face: import them by name, and only what is
needed (the command line must not load the worker).
"""
