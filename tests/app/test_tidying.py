"""What was erased is gone from the disk soon, and what waited for room is told."""

from node.app.tidying import EVERY_S, Tidier
from node.files import in_pieces
from node.outbox.submission import Message
from node.storage import Batch
from tests.kit.houses import House, Street

DAY_S = 86_400


async def erase(house: House, subject: str, folder: str) -> None:
    row = next(row for row in house.owner.mailbox.list(folder) if row["subject"] == subject)
    batch = Batch()
    for _ in range(2):
        house.owner.mailbox.delete(batch, bytes.fromhex(row["id"]))
    await house.ground.store.write(batch)


def files(house: House) -> int:
    return len(list(house.ground.home.files.glob("??/*")))


async def test_an_erased_letters_file_goes_within_seconds(street: Street) -> None:
    alice, told = await street.open("alice"), list[str]()
    tidier = Tidier(alice.ground, alice.owner, lambda: told.append("roomier"))
    upload = await alice.owner.uploads.add("a.bin", "", 100_000, in_pieces(bytes(100_000)))
    await alice.owner.submission.send(Message((alice.address,), subject="x", attachments=(upload.id.hex(),)))
    await street.quiet()
    street.run(tidier.run)
    await street.pass_time(EVERY_S + 1, 10)
    await erase(alice, "x", "inbox")
    await street.pass_time(EVERY_S + 1, 10)
    assert (files(alice), told) == (1, [])  # the copy in `sent` needs it
    await erase(alice, "x", "sent")
    tidier.soon()
    await street.pass_time(2, 1)
    assert (files(alice), told) == (0, ["roomier"])


async def test_a_file_that_no_letter_took_goes_after_a_day(street: Street) -> None:
    alice = await street.open("alice")
    tidier = Tidier(alice.ground, alice.owner, lambda: None)
    await alice.owner.uploads.add("a.bin", "", 9, in_pieces(b"123456789"))
    street.run(tidier.run)
    await street.pass_time(DAY_S - EVERY_S, EVERY_S)
    assert files(alice) == 1
    await street.pass_time(2 * EVERY_S, EVERY_S)
    assert files(alice) == 0
