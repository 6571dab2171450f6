"""python-socketio against a running server: over polling only, WebSocket only, and with the upgrade.

Usage: python chat.py ADDRESS; prints "done" at its end.
"""

import queue
import sys
import uuid

import requests
import socketio

base = f"http://{sys.argv[1]}"


def register(stem):
    name = f"{stem}-{uuid.uuid4().hex[:10]}"
    body = {"name": name, "email": f"{name}@example.org", "password": "Secret12"}
    answer = requests.post(f"{base}/api/auth/register", json=body, timeout=20)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return data["user"]["_id"], data["token"]


def connect(token, transports):
    client = socketio.Client(reconnection=False)
    events = queue.Queue()
    client.on("new_message", events.put)
    client.connect(base, auth={"token": token}, transports=transports, wait_timeout=20)
    return client, events


(ann, ann_token), (bob, bob_token) = register("ann"), register("bob")
answer = requests.post(
    f"{base}/api/chat/conversations/direct",
    json={"participantId": bob},
    headers={"Authorization": f"Bearer {ann_token}"},
    timeout=20,
)
assert answer.status_code == 201, answer.text
conversation = answer.json()["data"]["_id"]

for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
    sender, _ = connect(ann_token, transports)
    receiver, events = connect(bob_token, transports)
    expected = "polling" if transports == ["polling"] else "websocket"
    assert sender.transport() == expected, sender.transport()
    content = f"from Python over {transports}"
    acked = sender.call(
        "send_message", {"conversationId": conversation, "content": content}, timeout=20
    )
    assert acked["success"], acked
    told = events.get(timeout=20)
    assert told["message"]["content"] == content, told
    assert told["message"]["sender"]["_id"] == ann, told
    sender.disconnect()
    receiver.disconnect()

print("done")
