"""What the library's routes show to whom."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.web.routes.files import build_file_routes
from dreamina_ui.web.routes.library import build_library_routes
from tests.support.decoding import decoder
from tests.support.harness import Harness
from tests.support.library_rows import LibraryRows
from tests.support.shared_site import SharedSite


class Site(SharedSite):
    """The library and the files of a shared page, for its owner and for visitors."""

    def __init__(self, rows: LibraryRows, harness: Harness) -> None:
        super().__init__()
        permissions = self.permissions
        self.names: dict[str, str] = {}
        self.app = Starlette(
            routes=[
                *build_library_routes(
                    harness.reader, harness.presenter, rows.library, permissions, rows.clock, lambda: self.names
                ),
                *build_file_routes(harness.reader, permissions, LateCopies(rows.media, decoder())),
            ]
        )


@pytest.fixture
def site(rows: LibraryRows, harness: Harness) -> Site:
    return Site(rows, harness)


def test_an_owner_chooses_between_mine_and_everyones(site: Site, rows: LibraryRows) -> None:
    """Whoever runs a page for friends finds their own images among those of fifty people, and sees whose others are."""
    (owner, owner_id), (guest, guest_id) = site.client(is_owner=True), site.client()
    rows.add("the owner's", visitor_id=owner_id)
    rows.add("the guest's", visitor_id=guest_id)
    everything = owner.get("/dreamina/library").json()
    assert everything["sees_others"] is True
    assert {entry["prompt"]: entry.get("visitor") for entry in everything["entries"]} == {
        "the owner's": None,
        "the guest's": guest_id[:8],
    }
    site.names[guest_id] = "Aunt Ida"
    names = {entry["prompt"]: entry.get("visitor_name") for entry in owner.get("/dreamina/library").json()["entries"]}
    assert names == {"the owner's": None, "the guest's": "Aunt Ida"}
    mine = owner.get("/dreamina/library?whose=mine").json()
    assert [entry["prompt"] for entry in mine["entries"]] == ["the owner's"]
    assert owner.get("/dreamina/library/usage?whose=mine").json()["files"] == 1
    for query in ("", "?whose=mine", "?whose="):
        own = guest.get(f"/dreamina/library{query}").json()
        assert [entry["prompt"] for entry in own["entries"]] == ["the guest's"]
        assert own["sees_others"] is False
        assert "visitor" not in own["entries"][0]


def test_a_files_url_leads_everybody_who_has_it_to_the_same(site: Site, rows: LibraryRows) -> None:
    """A URL that works for strangers, and not for the friend who once opened the page, is a riddle to both."""
    (maker, maker_id), (friend, _) = site.client(), site.client()
    output = rows.add("shown", visitor_id=maker_id).outputs[0]
    [shown] = maker.get("/dreamina/library").json()["entries"]
    for tier in ("thumbnail", "preview", "original"):
        responses = [client.get(f"/dreamina/{shown[tier]}") for client in (maker, friend, TestClient(site.app))]
        assert [response.status_code for response in responses] == [200, 200, 200]
        assert len({response.content for response in responses}) == 1
    with_settings = f"/dreamina/files/{output.file_key}/with-settings/x.png"
    assert [client.get(with_settings).status_code for client in (friend, TestClient(site.app))] == [404, 404]


def test_the_trash_shows_deleted_files_to_their_maker_only(site: Site, rows: LibraryRows) -> None:
    """What was deleted is gone for everybody who merely has its URL, and can still be looked at before restoring it."""
    (maker, maker_id), (stranger, _) = site.client(), site.client()
    key = rows.add("deleted", visitor_id=maker_id).outputs[0].file_key
    [shown] = maker.get("/dreamina/library").json()["entries"]
    assert maker.post("/dreamina/library/mark", json={"files": [key], "deleted": True}).json()["count"] == 1
    [entry] = maker.get("/dreamina/library?trash=1").json()["entries"]
    assert maker.get("/dreamina/library").json()["entries"] == []
    for tier in ("thumbnail", "preview", "original"):
        assert maker.get(f"/dreamina/{entry[tier]}").status_code == 200
        assert maker.get(f"/dreamina/{shown[tier]}").status_code == 404
        for other in (stranger, TestClient(site.app)):
            assert other.get(f"/dreamina/{entry[tier]}").status_code == 404


@pytest.mark.parametrize("limit", ["0", "-1", "x", "9" * 30, "²", "100000", ""])
def test_an_odd_length_of_a_page_is_no_error(site: Site, rows: LibraryRows, limit: str) -> None:
    """A number that somebody typed into a URL costs the server no more than a usual page."""
    rows.add()
    assert site.client(is_owner=True)[0].get("/dreamina/library", params={"limit": limit}).status_code == 200
