"""Passwords, both ways: those that our own mail programs show to this node, and those that it shows others.

Who listens for them, and what they let in, is node.smtp's.
"""

from node.users.errors import PasswordError, UserError
from node.users.passwords import KUBO, SMARTHOST, Passwords
from node.users.users import Users, clean_name

__all__ = ["KUBO", "SMARTHOST", "PasswordError", "Passwords", "UserError", "Users", "clean_name"]
