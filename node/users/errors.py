"""Faults of names and passwords. No text repeats a password.

NodeError
├── UserError         a name for a mail program that can't be, is taken, or is not there
└── PasswordError     a password that can't be kept, or a setting that has none
"""

from collections.abc import Iterable

from node.runtime.errors import NodeError


class UserError(NodeError):
    """A name that can't be used as asked."""


class PasswordError(NodeError):
    """A password that can't be kept."""


def bad_name(why: str) -> UserError:
    return UserError("user-name", why, "choose one such as phone or laptop")


def taken(name: str) -> UserError:
    return UserError(
        "user-exists",
        f"there is an app password {name} already",
        "choose another name, or take that one away: mailio user remove",
    )


def unknown(name: str) -> UserError:
    return UserError("no-such-user", f"there is no app password {name}", "see: mailio user list")


def too_many(most: int) -> UserError:
    return UserError(
        "users-full", f"a node keeps {most} app passwords at most", "remove one: mailio user remove NAME"
    )


def has_no_password(setting: str, those: Iterable[str]) -> PasswordError:
    return PasswordError(
        "no-secret-setting", f"no password belongs to {setting}", f"it is one of {', '.join(those)}"
    )


def bad_password(why: str) -> PasswordError:
    return PasswordError("password", why, "give the password that your mail provider gave you")


def bad_form(setting: str, form: str) -> PasswordError:
    return PasswordError("password", f"that is no secret for {setting}", form)
