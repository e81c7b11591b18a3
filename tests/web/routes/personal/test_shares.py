"""A shared page answers the same to everybody, and to nobody once it is revoked."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.library.boards import Boards
from dreamina_ui.library.shares import Shares
from dreamina_ui.models.schema import load_models
from dreamina_ui.web.routes.library import build_library_routes
from dreamina_ui.web.routes.personal.boards import build_board_routes
from dreamina_ui.web.routes.personal.shares import build_share_routes
from tests.support.harness import Harness
from tests.support.library_rows import LibraryRows
from tests.support.shared_site import SharedSite

PROMPT = 'a "red" <fox> & 狐'


class Site(SharedSite):
    """A shared page's library, boards and shares, for its owner and for visitors."""

    def __init__(self, harness: Harness, rows: LibraryRows) -> None:
        super().__init__()
        permissions = self.permissions
        boards, shares = Boards(rows.ledger, rows.clock), Shares(rows.ledger, rows.clock)
        models, reader = load_models(), harness.reader
        self.app = Starlette(
            routes=[
                *build_library_routes(reader, harness.presenter, rows.library, permissions, rows.clock),
                *build_board_routes(boards, shares, permissions),
                *build_share_routes(shares, reader, models, permissions, "https://studio.example"),
            ]
        )


@pytest.fixture
def site(harness: Harness, rows: LibraryRows) -> Site:
    return Site(harness, rows)


def files_of(page: str) -> list[str]:
    """The URLs of a shared page's files, its preview for other programs among them."""
    return sorted(
        {f"/dreamina/shared/{path}" for path in re.findall(r'(?:shared/|(?:src|href)=")([\w-]{24}/[^"?]+)', page)}
    )


def test_a_friend_sees_a_shared_image_with_and_without_a_cookie_until_it_is_revoked(
    site: Site, rows: LibraryRows
) -> None:
    """A link in a chat shows the image at once, to everybody alike, and can be taken back."""
    maker, maker_id = site.client()
    friends = (site.client()[0], TestClient(site.app), maker)
    job = rows.add(PROMPT, visitor_id=maker_id)
    key = job.outputs[0].file_key
    share = maker.post("/dreamina/shares", json={"file": key, "prompt": False}).json()
    path = share["url"].removeprefix("https://studio.example")
    pages = [friend.get(path) for friend in friends]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert len({page.text for page in pages}) == 1
    assert all("set-cookie" not in page.headers for page in pages)
    [page, *_] = pages
    assert page.headers["cache-control"] == "no-store"
    assert "noindex" in page.headers["x-robots-tag"]
    assert 'name="robots" content="noindex' in page.text
    secrets = (key, job.job_id, maker_id, "fox", "狐")
    assert [secret for secret in secrets if secret in page.text] == []
    assert f'property="og:image" content="{share["url"]}/' in page.text
    files = files_of(page.text)
    assert len(files) == 3
    for file in files:
        responses = [friend.get(file) for friend in friends]
        assert [response.status_code for response in responses] == [200, 200, 200], file
        assert len({response.content for response in responses}) == 1
        assert {response.headers["cache-control"] for response in responses} == {"no-store"}
    assert site.client()[0].post("/dreamina/shares/revoke", json={"shares": [share["share_id"]]}).json()["count"] == 0
    assert maker.post("/dreamina/shares/revoke", json={"shares": [share["share_id"]]}).json()["count"] == 1
    for friend in friends:
        assert [friend.get(url).status_code for url in (path, *files)] == [404] * 4


def test_the_prompt_is_shown_only_if_it_was_wished_and_can_be_tried(site: Site, rows: LibraryRows) -> None:
    """Some prompts are the secret, others the point; either way they are text and no markup."""
    maker, maker_id = site.client()
    key = rows.add(PROMPT, visitor_id=maker_id).outputs[0].file_key
    url = maker.post("/dreamina/shares", json={"file": key, "prompt": True}).json()["url"]
    page = TestClient(site.app).get(url.removeprefix("https://studio.example")).text
    assert "a &quot;red&quot; &lt;fox&gt; &amp; 狐" in page
    assert "<fox>" not in page
    assert re.search(r'href="\.\./\.\./#model=bytedance[^"]+prompt=a\+%22red%22', page)
    again = maker.post("/dreamina/shares", json={"file": key, "prompt": None}).json()
    assert (again["url"], again["shows_prompt"]) == (url, True)
    maker.post("/dreamina/shares", json={"file": key, "prompt": False})
    assert "fox" not in TestClient(site.app).get(url.removeprefix("https://studio.example")).text


def test_nonsense_in_the_place_of_ids_is_unknown(site: Site, rows: LibraryRows) -> None:
    """Strangers reach these pages: what no id can be costs neither an error nor a traceback."""
    maker, maker_id = site.client()
    key = rows.add(visitor_id=maker_id).outputs[0].file_key
    path = maker.post("/dreamina/shares", json={"file": key, "prompt": True}).json()["url"].partition("example")[2]
    for alias in ("狐", "%00", key):
        assert TestClient(site.app).get(f"{path}/{alias}/large/x.webp").status_code == 404
    headers = {"Content-Type": "application/json"}
    for body in (r'{"file": "\ud800", "prompt": true}', r'{"board": "\ud800", "prompt": true}'):
        assert maker.post("/dreamina/shares", content=body, headers=headers).status_code == 400
    assert maker.post("/dreamina/library/find", content=r'{"file": "\ud800"}', headers=headers).status_code == 400
    for name in ("\u3164\u2800", "\u200b", r"\ud800", "a\nb"):
        body = f'{{"name": "{name}"}}'
        assert maker.post("/dreamina/boards", content=body.encode(), headers=headers).status_code in (400, 422), name


def test_a_long_list_of_shares_reads_one_image_of_each(
    site: Site, rows: LibraryRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor with many boards of the same images could otherwise keep the server busy with one request."""
    maker, maker_id = site.client()
    keys = [output.file_key for output in rows.add(visitor_id=maker_id, files=8).outputs]
    for number in range(3):
        board = maker.post("/dreamina/boards", json={"name": f"Board {number}", "files": keys}).json()["board_id"]
        maker.post("/dreamina/shares", json={"board": board, "prompt": True})
    reads: list[str] = []
    read_output = rows.ledger.output_by_key

    def output_by_key(key: str) -> tuple[Job, Output] | None:
        reads.append(key)
        return read_output(key)

    monkeypatch.setattr(rows.ledger, "output_by_key", output_by_key)
    shares = maker.get("/dreamina/shares").json()["shares"]
    assert [bool(share["thumbnail"]) for share in shares] == [True] * 3
    assert len(reads) == 3


def test_a_deleted_image_is_shared_no_longer(site: Site, rows: LibraryRows) -> None:
    """Delete means delete, also for those who had the link."""
    maker, maker_id = site.client()
    key = rows.add(visitor_id=maker_id).outputs[0].file_key
    link = maker.post("/dreamina/shares", json={"file": key, "prompt": False}).json()["url"]
    path = link.removeprefix("https://studio.example")
    files = files_of(TestClient(site.app).get(path).text)
    maker.post("/dreamina/library/mark", json={"files": [key], "deleted": True})
    assert [TestClient(site.app).get(url).status_code for url in (path, *files)] == [404] * 4
    assert maker.get("/dreamina/shares").json()["shares"] == []


def test_a_board_is_a_page_and_its_files_are_those_of_the_board(site: Site, rows: LibraryRows) -> None:
    """One link shows a whole project, with what is put on it later, and nothing that was taken off."""
    maker, maker_id = site.client()
    keys = [output.file_key for output in rows.add(visitor_id=maker_id, files=3).outputs]
    created = maker.post("/dreamina/boards", json={"name": "Foxes <3", "files": keys[:2]}).json()
    board = created["board_id"]
    assert created["boards"] == [{"board_id": board, "name": "Foxes <3", "count": 2, "is_shared": False}]
    url = maker.post("/dreamina/shares", json={"board": board, "prompt": False}).json()["url"]
    assert maker.get("/dreamina/boards").json()["boards"][0]["is_shared"] is True
    path = url.removeprefix("https://studio.example")
    before = TestClient(site.app).get(path).text
    assert "Foxes &lt;3" in before
    assert before.count("<figure>") == 2
    maker.post(f"/dreamina/boards/{board}", json={"files": keys[2:], "on": True})
    maker.post(f"/dreamina/boards/{board}", json={"files": keys[:1], "on": False})
    after = TestClient(site.app).get(path).text
    assert after.count("<figure>") == 2
    gone = set(files_of(before)) - set(files_of(after))
    assert gone
    assert {TestClient(site.app).get(file).status_code for file in gone} == {404}
    archive = maker.get(f"/dreamina/library/zip?board={board}")
    assert archive.status_code == 200
    assert [entry["index"] for entry in maker.get(f"/dreamina/library?board={board}").json()["entries"]] == [1, 2]
    maker.post(f"/dreamina/boards/{board}/delete", json={})
    assert TestClient(site.app).get(path).status_code == 404


def test_an_owner_lists_and_revokes_what_everybody_shares(site: Site, rows: LibraryRows) -> None:
    """Whoever runs the page answers for it."""
    (owner, _), (guest, guest_id), (stranger, _) = site.client(is_owner=True), site.client(), site.client()
    key = rows.add(visitor_id=guest_id).outputs[0].file_key
    share = guest.post("/dreamina/shares", json={"file": key, "prompt": False}).json()["share_id"]
    assert [row["share_id"] for row in owner.get("/dreamina/shares").json()["shares"]] == [share]
    assert stranger.get("/dreamina/shares").json()["shares"] == []
    assert owner.get("/dreamina/shares?whose=mine").json()["shares"] == []
    assert owner.post("/dreamina/shares/revoke", json={"shares": [share]}).json() == {"count": 1}
    assert TestClient(site.app).get(f"/dreamina/shared/{share}").status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"file": 7, "prompt": True}, {"file": "0" * 32, "prompt": True}, {"file": "é", "prompt": False},
             {"board": "0" * 32, "prompt": False}, {"file": "a", "board": "b", "prompt": True}, {"file": "a"}],
)  # fmt: skip
def test_what_cannot_be_shared_is_refused(site: Site, body: dict[str, object]) -> None:
    """A wrong call is no server error and makes no page; strangers' calls neither."""
    assert site.client()[0].post("/dreamina/shares", json=body).status_code in (400, 404)
    assert TestClient(site.app).post("/dreamina/shares", json={"file": "0" * 32, "prompt": True}).status_code == 403
    for path in ("x", "é" * 9, "0" * 5000, "..%2f..", "a/b/original/c"):
        assert TestClient(site.app).get(f"/dreamina/shared/{path}").status_code == 404


def test_ratings_go_from_one_to_five(site: Site, rows: LibraryRows) -> None:
    """Beside the star, which says yes or no."""
    maker, maker_id = site.client()
    key = rows.add(visitor_id=maker_id).outputs[0].file_key
    for rating in (5, 3, 0):
        assert maker.post("/dreamina/library/mark", json={"files": [key], "rating": rating}).json()["count"] == 1
        assert maker.get("/dreamina/library").json()["entries"][0]["rating"] == rating
        assert len(maker.get("/dreamina/library?rating=3").json()["entries"]) == (rating >= 3)
    for wrong in (6, -1, True, "3", None, 2.5):
        assert maker.post("/dreamina/library/mark", json={"files": [key], "rating": wrong}).status_code == 400
