"""One running Mailio node: everything that touches disk, network or a person.

Each room hands on through its own face; nothing but the version stands here.
"""

__version__ = "0.1.0"
