"""A world outlives its process: replaying the journal gives the very same world."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from volt_pipeline.sandbox.entities import Refused
from volt_pipeline.sandbox.server import running
from volt_pipeline.sandbox.world import World

from .conftest import NOW, control, dump, example, new_world


def change_everything(world: World) -> None:
    contact = next(each for each in world.contacts if not each.blocked)
    phone = contact.account.primary_phone
    job = {"waveName": "Sale", "scheduledTime": "2025-03-04 15:30:00", "messageBody": "Hi", "listNames": ["All"]}
    person = {"name": "Zoë 🧱", "phoneNumber": "+19185559998", "accountPhone": phone, "blocked": True}
    rules = [{"field": "shoe", "operator": "is", "queryValue": '"9"'}]
    message = {"scheduledTime": "2030-01-01 00:00:00", "messageBody": "x", "contactNumbers": ["+19185559997"]}
    with running(world) as sandbox:
        example(sandbox, "createMessage", to=contact.phone_number, body="Hi", **{"from": phone})
        example(sandbox, "createOrUpdateContact", customFields=[{"key": "shoe", "value": "9"}], **person)
        example(
            sandbox,
            "createOrUpdateList",
            primaryPhone=phone,
            listQuery={"listName": "Nine", "queryCustomFields": rules},
        )
        control(sandbox, "tick", times=30)
        gone = example(sandbox, "registerWebhook", url="https://example.com/a")["id"]
        example(sandbox, "registerWebhook", url="https://example.com/b")
        example(sandbox, "deleteWebhook", id=gone)
        example(sandbox, "scheduleWave", type="organization", status="scheduled", wave=job)
        example(sandbox, "scheduleMessage", primaryPhone=phone, message=message)
        control(sandbox, "tick", times=3)
        control(sandbox, "move", share=0.1)
        control(sandbox, "settle")
        control(sandbox, "tick", times=5)


def reopened(path: Path, **settings: Any) -> World:
    return new_world(journal=path, **{"now": NOW + timedelta(days=1), **settings})


def test_a_world_is_rebuilt_exactly(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "world.jsonl"
    world = new_world(journal=path)
    change_everything(world)
    again, twin = reopened(path), reopened(Path(shutil.copy(path, tmp_path)))
    assert dump(again) == dump(twin) == dump(world)
    for each in (again, twin):
        each.tick(NOW + timedelta(days=2))
    assert dump(again) == dump(twin) != dump(world)


def test_the_zone_of_now_makes_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    late = NOW.replace(hour=23).astimezone(ZoneInfo("Pacific/Auckland"))
    world = new_world(journal=path, now=late)
    for _ in range(100):
        world.tick(late)
    assert dump(reopened(path)) == dump(world)


def test_a_line_torn_by_a_crash_is_dropped_and_writing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    change_everything(new_world(journal=path))
    before = dump(reopened(path))
    whole = path.read_bytes()
    path.write_bytes(whole + b'["createMessage",17410')
    again = reopened(path)
    assert dump(again) == before
    assert path.read_bytes() == whole
    again.tick(NOW + timedelta(days=2))
    assert dump(reopened(path)) == dump(again)


def test_a_torn_header_starts_a_new_world(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    path.write_bytes(b'{"format":1,"se')
    assert dump(new_world(journal=path)) == dump(new_world())


def test_refused_mutations_leave_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    world = new_world(journal=path)
    size = path.stat().st_size
    with pytest.raises(Refused):
        world.mutate("registerWebhook", {"url": "nowhere"})
    assert path.stat().st_size == size
    world.tick(NOW)
    assert dump(reopened(path)) == dump(world)


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"accounts": 1}, {"contacts": 41}, {"inbox_page": 9}, {"custom_fields_mode": "replace"}]
)
def test_another_worlds_journal_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    path = tmp_path / "world.jsonl"
    new_world(journal=path)
    with pytest.raises(ValueError, match=r"world\.jsonl holds another world"):
        reopened(path, **other)


def test_a_foreign_file_and_a_broken_line_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("milk\neggs\n")
    with pytest.raises(ValueError, match=r"notes\.txt, line 1"):
        new_world(journal=foreign)
    path = tmp_path / "world.jsonl"
    new_world(journal=path)
    with path.open("ab") as out:
        out.write(b'["tick",\n["tick",1741100000000000]\n')
    with pytest.raises(ValueError, match=r"world\.jsonl, line 2"):
        reopened(path)


def test_a_second_writer_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    first = new_world(journal=path)
    reopened(path).tick(NOW)
    with pytest.raises(ValueError, match="another sandbox"):
        first.tick(NOW)


def test_ticks_are_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    world = new_world(journal=path)
    size = path.stat().st_size
    for _ in range(100):
        world.tick(NOW)
    assert path.stat().st_size - size < 100 * 32
