"""The access log is bounded, and says what it left out."""

import json

from services.inference.web.access_log import AccessLog, Entry


def entry(status: int, path: str = "/predict") -> Entry:
    """A request."""
    return (0.0, "POST", path, status, 0.001, "id", "")


def lines(written: list[bytes]) -> list[dict[str, object]]:
    """What was written, decoded."""
    return [json.loads(line) for part in written for line in part.splitlines()]


def test_good_answers_cannot_hide_failures() -> None:
    """However many good answers there are, failures are logged too, and the number left out is told."""
    written: list[bytes] = []
    log = AccessLog(written.append, lines_per_s=2)
    for _ in range(10):
        log.add(entry(200))
    log.add(entry(422))
    log.write_once()
    found = lines(written)
    assert [line["status"] for line in found] == [200, 200, 422]
    assert found[0]["omitted_before"] == 8
    log.add(entry(200))
    log.write_once()
    assert len(lines(written)) == 4
    assert "omitted_before" not in lines(written)[3]


def test_the_thread_writes_what_is_left() -> None:
    """Closing writes the last entries."""
    written: list[bytes] = []
    log = AccessLog(written.append)
    log.start()
    log.add(entry(200, "/last"))
    log.close()
    assert [line["path"] for line in lines(written)] == ["/last"]
