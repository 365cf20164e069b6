"""The code of the receiver's guide, taken out of the document and run: it takes our messages and no others."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from tests.webhooks.sinks import sink
from webhooks import services
from webhooks.event_types import SUBSCRIBABLE, EventType, description_of
from webhooks.retries import SCHEDULE
from webhooks.sender import send_due
from webhooks.signing import new_secret, signature_headers

TREE = Path(__file__).resolve().parents[2]
GUIDE = (TREE / "docs" / "how-to" / "receive-webhooks.md").read_text(encoding="utf-8")
PACKAGES = Path(__file__).parent / "node"
MESSAGE = "msg_0198c5b27d1e7c3a9f4b2a6d8e1c5f70"
BODIES = [
    b"{}",
    b'{"test": 2432232314}',
    b'{"data":{"amount":1234567890.123456,"total":"0.10"},"type":"run.locked"}',
    '{"name":"Łódź – 東京 \U0001f600","line":"a\\n\\u0000b"}'.encode(),
    json.dumps({"data": ["x" * 100] * 1_000}).encode(),
]


@dataclass(frozen=True)
class Received:
    """A request as a receiver sees it, and the secret it has."""

    secret: str
    headers: Mapping[str, str]
    body: bytes


def signed(body: bytes = BODIES[1], age: timedelta = timedelta(0)) -> Received:
    """A message as the sender sends it."""
    secret = new_secret()
    return Received(secret, signature_headers(MESSAGE, body, [secret], datetime.now(UTC) - age), body)


def changed(received: Received, **headers: str) -> Received:
    """The same with other headers."""
    return replace(received, headers={**received.headers, **{f"webhook-{name}": headers[name] for name in headers}})


def without(received: Received, name: str) -> Received:
    """The same without a header."""
    return replace(received, headers={each: value for each, value in received.headers.items() if each != name})


def genuine() -> list[Received]:
    """What a receiver must take: every body, either secret while one rotates, a clock that is a little off.

    And a signature among those of other versions.
    """
    old, new = new_secret(), new_secret()
    rotating = signature_headers(MESSAGE, BODIES[1], [new, old], datetime.now(UTC))
    message = signed()
    among_others = changed(message, signature=f"v1a,AAAA {message.headers['webhook-signature']} v2,x")
    return [
        *map(signed, BODIES),
        Received(old, rotating, BODIES[1]),
        Received(new, rotating, BODIES[1]),
        signed(age=timedelta(minutes=4)),
        signed(age=timedelta(minutes=-4)),
        among_others,
    ]


def forged() -> Mapping[str, Received]:
    """What a receiver must refuse."""
    message = signed()
    timestamp = int(message.headers["webhook-timestamp"])
    signature = message.headers["webhook-signature"]
    return {
        "an altered body": replace(message, body=message.body.replace(b"4", b"5")),
        "a longer body": replace(message, body=message.body + b" "),
        "an empty body": replace(message, body=b""),
        "another id": changed(message, id="msg_p5jXN8AQM9LWM0D4loKWxJek"),
        "another timestamp": changed(message, timestamp=str(timestamp + 1)),
        "another secret": replace(message, secret=new_secret()),
        "an old timestamp": signed(age=timedelta(minutes=6)),
        "a timestamp to come": signed(age=timedelta(minutes=-6)),
        "an old timestamp made new": changed(signed(age=timedelta(minutes=6)), timestamp=str(timestamp)),
        "a timestamp that is no number": changed(message, timestamp="now"),
        "an empty signature": changed(message, signature=""),
        "a signature cut short": changed(message, signature=signature[:-8]),
        "a signature of another version": changed(message, signature=signature.replace("v1", "v2")),
        "a signature without its version": changed(message, signature=signature.removeprefix("v1,")),
        "no id": without(message, "webhook-id"),
        "no timestamp": without(message, "webhook-timestamp"),
        "no signature": without(message, "webhook-signature"),
    }


def blocks(language: str) -> list[str]:
    """Fenced code of the guide in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


Verdicts = Callable[[Sequence[Received]], list[Any]]
"""What a receiver reads in each request; None where it refuses."""


# -- Python ----------------------------------------------------------------------------------------


def by_standard_library(received: Received) -> Any:
    """The first block defines a function."""
    names: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "guide", "exec"), names)  # noqa: S102 - the guide is ours
    return names["verified"](received.secret, received.headers, received.body)


def by_python_package(received: Received) -> Any:
    """The second block stands where these names have values."""
    names: dict[str, Any] = {"secret": received.secret, "headers": received.headers, "body": received.body}
    exec(compile(blocks("python")[1], "guide", "exec"), names)  # noqa: S102 - the guide is ours
    return names["message"]


def read_by(code: Callable[[Received], Any]) -> Verdicts:
    """Verdicts of Python code that raises what it refuses."""
    from standardwebhooks.webhooks import WebhookVerificationError

    def verdict(received: Received) -> Any:
        try:
            return code(received)
        except (ValueError, WebhookVerificationError):
            return None

    return lambda requests: [verdict(each) for each in requests]


# -- Node ------------------------------------------------------------------------------------------

RUNNER = """
const requests = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(requests.map(([secret, headers, encoded]) => {
  const body = Buffer.from(encoded, "base64");
  try {
    %s
  } catch (error) {
    return null;
  }
})));
"""


def read_by_node(script: Path, source: str) -> Verdicts:
    """Verdicts of a script, all in one process."""
    script.write_text(source, encoding="utf-8")

    def verdicts(requests: Sequence[Received]) -> list[Any]:
        sent = [(each.secret, dict(each.headers), base64.b64encode(each.body).decode()) for each in requests]
        done = subprocess.run(
            ["node", script.name],
            input=json.dumps(sent),
            cwd=script.parent,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return list(json.loads(done.stdout))

    return verdicts


@pytest.fixture(scope="module")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm package, locked by hash."""
    folder = tmp_path_factory.mktemp("receiver")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"npm cannot install standardwebhooks here: {error}")
    return folder


@pytest.fixture(params=["python", "python package", "node", "node package"])
def verdicts(request: pytest.FixtureRequest, tmp_path: Path) -> Verdicts:
    """One of the guide's four receivers."""
    if request.param == "python":
        return read_by(by_standard_library)
    if request.param == "python package":
        return read_by(by_python_package)
    if shutil.which("node") is None:
        pytest.skip("Node is not installed.")
    if request.param == "node":
        return read_by_node(
            tmp_path / "receiver.js", blocks("js")[0] + RUNNER % "return verified(secret, headers, body);"
        )
    folder: Path = request.getfixturevalue("node_packages")
    return read_by_node(folder / "receiver.js", RUNNER % f"{blocks('js')[1]}\nreturn message;")


# -- what they take and refuse ---------------------------------------------------------------------


def test_a_receiver_takes_and_reads_every_message_of_ours(verdicts: Verdicts) -> None:
    messages = genuine()
    assert verdicts(messages) == [json.loads(each.body) for each in messages]


def test_a_receiver_refuses_everything_else(verdicts: Verdicts) -> None:
    taken = dict(zip(forged(), verdicts(list(forged().values())), strict=True))
    assert taken == dict.fromkeys(taken)


@pytest.mark.django_db(transaction=True)
def test_a_receiver_takes_what_the_sender_sends(verdicts: Verdicts, workspace: Workspace, settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_TARGETS = True
    actor = Actor.system(workspace)
    with sink() as running:
        endpoint = services.create_endpoint(actor=actor, url=running.url)
        old = endpoint.secret
        services.rotate_secret(endpoint, actor=actor)
        emitted = [{"id": str(UUID(int=number)), "name": "Łódź", "total": Decimal("0.10")} for number in range(20)]
        services.emit_all(EventType.RUN_LOCKED, actor=actor, payloads=emitted)
        send_due(seconds=20)
        requests = [
            Received(secret, headers, body) for headers, body in running.received for secret in (old, endpoint.secret)
        ]
    taken = verdicts(requests)
    assert len(taken) == 40
    assert taken == [json.loads(each.body) for each in requests]


def test_names_of_headers_may_come_in_capitals() -> None:
    message = signed()
    spelled = replace(message, headers={name.title(): value for name, value in message.headers.items()})
    assert by_standard_library(spelled) == by_python_package(spelled) == json.loads(message.body)


# -- what else the guide says ----------------------------------------------------------------------


def test_the_guide_names_every_event_type_and_when_it_is_announced() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.*) \|$", GUIDE, re.MULTILINE)
    assert rows == [(kind.value, description_of(kind)) for kind in SUBSCRIBABLE]


def test_the_guide_names_the_waits_of_the_schedule() -> None:
    assert [spoken(wait) for wait in SCHEDULE] == re.findall(r"[0-9]+ (?:s|min|h)\b", waits())


def waits() -> str:
    """The sentence about waits."""
    found = re.search(r"The waits are (.*?), each", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


def spoken(wait: timedelta) -> str:
    """`5 s`, `5 min`, `2 h`."""
    seconds = int(wait.total_seconds())
    unit, name = next((unit, name) for unit, name in ((3_600, "h"), (60, "min"), (1, "s")) if not seconds % unit)
    return f"{seconds // unit} {name}"
