"""Faults of providers, as a person meets them. No text repeats a password.

NodeError
└── ProviderError     a provider that can't be added, is not there, or can't be reached with what was given
"""

from node.runtime.errors import NodeError


class ProviderError(NodeError):
    """Something about a provider can't be done as asked."""


def no_servers(address: str) -> ProviderError:
    return ProviderError(
        "provider-unknown",
        f"the mail servers for {address} are not known here",
        f"name them: mailio provider add {address} --imap imaps://HOST --smtp smtps://HOST",
    )


def no_passwords(address: str, note: str) -> ProviderError:
    return ProviderError("provider-closed", f"{address} can't be fetched from", note)


def bad_server(option: str, why: str) -> ProviderError:
    kind = "imaps://USER@HOST:993" if option == "--imap" else "smtps://USER@HOST:465"
    return ProviderError("provider-server", f"{option}: {why}", f"give it as {kind}")


def bad_address(text: str) -> ProviderError:
    return ProviderError(
        "provider-address",
        f"{text[:100]} is no e-mail address",
        "give the whole address, such as you@example.org",
    )


def bad_folder(why: str) -> ProviderError:
    return ProviderError("provider-folder", why, "name folders as your provider shows them: --folder NAME")


def no_provider(address: str) -> ProviderError:
    return ProviderError(
        "no-such-provider", f"no mail is fetched for {address[:100]}", "see: mailio provider list"
    )


def too_many(most: int) -> ProviderError:
    return ProviderError(
        "providers-full",
        f"a node fetches from {most} mailboxes at most",
        "remove one: mailio provider remove ADDRESS",
    )


def no_password(address: str) -> ProviderError:
    return ProviderError(
        "provider-no-password", f"no password for {address} is kept", "give it: mailio provider add ADDRESS"
    )
