"""The openai package, as it is, against /v1/responses and /v1/chat/completions: as openai.mjs, which says more.

BASE      the server
KEY       a tenant's key
GATE      when that is asked, the model goes on with its answer
SCENARIO  see below
"""

import json
import os
import urllib.request

import httpx2
import openai

BASE, KEY, GATE = os.environ["BASE"], os.environ["KEY"], os.environ["GATE"]
client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY)
ASKED = {"model": "assistant", "user": "alice"}
PICK = {"type": "function", "name": "pick", "parameters": {"type": "object", "properties": {}}, "strict": False}


def open_gate():
    urllib.request.urlopen(GATE).read()


def text(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def talk():
    first = client.responses.create(**ASKED, input="How are you?", metadata={"shop": "7"})
    assert (first.status, first.output_text, first.model) == ("completed", "Well.", "assistant"), first
    assert (first.usage.input_tokens, first.usage.output_tokens) == (10, 5)
    second = client.responses.create(**ASKED, input="And now?", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("Better.", first.id)
    assert client.responses.retrieve(second.id).model_dump() == second.model_dump()
    try:
        client.responses.create(**ASKED, input="x", previous_response_id=first.id)
        raise SystemExit("it has forked")
    except openai.UnprocessableEntityError as error:
        assert "do not fork" in str(error) and error.param == "previous_response_id", error


def stream():
    with client.responses.stream(**ASKED, input="Count.") as told:
        is_open = False
        for event in told:
            if event.type == "response.output_text.delta" and not is_open:
                is_open = True
                open_gate()
        final = told.get_final_response()
    assert final.output_text == " tok0 tok1 tok2 tok3", final
    events = list(client.responses.retrieve(final.id, stream=True))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    for at, event in enumerate(events):
        rest = client.responses.retrieve(final.id, stream=True, starting_after=event.sequence_number)
        assert list(rest) == events[at + 1 :], event.sequence_number


def background():
    response = client.responses.create(**ASKED, input="Count.", background=True)
    assert response.status in ("queued", "in_progress"), response
    open_gate()
    while response.status in ("queued", "in_progress"):
        response = client.responses.retrieve(response.id)
    assert (response.status, response.output_text) == ("completed", " tok0 tok1 tok2 tok3"), response
    other = client.responses.create(**ASKED, input="Count.", background=True)
    assert client.responses.cancel(other.id).status == "cancelled"


def cut():
    events, cuts = [], 0
    # Before anything was told it is asked for again, as the same request.
    once = {"Idempotency-Key": "cut"}
    while not events or events[-1].type != "response.completed":
        try:
            if events:
                seen = events[-1].sequence_number
                told = client.responses.retrieve(events[0].response.id, stream=True, starting_after=seen)
            else:
                told = client.responses.create(**ASKED, input="Count.", stream=True, extra_headers=once)
            for event in told:
                events.append(event)
                if event.type == "response.output_text.delta":
                    open_gate()
        except (openai.APIConnectionError, httpx2.TransportError):
            pass
        cuts += not events or events[-1].type != "response.completed"
        assert cuts < 200, "it comes to an end"
    numbers = [event.sequence_number for event in events]
    assert cuts > 0 and numbers == sorted(set(numbers)), (cuts, numbers)
    assert text(events) == " tok0 tok1 tok2 tok3" == events[-1].response.output_text


def repeat():
    # The first answer is cut in its head: the library asks again by itself.
    assert client.responses.create(**ASKED, input="How are you?").output_text == "Well."
    runs = client.get("/runs", cast_to=object, options={"params": {"limit": 10}})
    assert [run["status"] for run in runs["data"]] == ["completed"], runs


def tools():
    first = client.responses.create(**ASKED, input="Which?", tools=[PICK])
    call = next(item for item in first.output if item.type == "function_call")
    output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"color":"red"}'}
    second = client.responses.create(**ASKED, input=[output], previous_response_id=first.id, tools=[PICK])
    assert (second.output_text, second.previous_response_id) == ("Red it is.", first.id), second
    # What the client remembers itself.
    said = [{"role": "user", "content": "Which?"}]
    third = client.responses.create(**ASKED, input=said, tools=[PICK])
    said += third.output
    call = next(item for item in third.output if item.type == "function_call")
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "blue"})
    assert client.responses.create(**ASKED, input=said, tools=[PICK]).output_text == "Blue it is."


def approve():
    first = client.responses.create(**ASKED, input="Pay.")
    asked = next(item for item in first.output if item.type == "mcp_approval_request")
    assert (asked.name, json.loads(asked.arguments)) == ("pay", {"amount": 7}), asked
    yes = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
    second = client.responses.create(**ASKED, input=[yes], previous_response_id=first.id)
    called = next(item for item in second.output if item.type == "mcp_call")
    assert (called.status, json.loads(called.output), second.output_text) == ("completed", {"paid": True}, "Paid.")


def fail():
    assert client.responses.create(**ASKED, input="x").error.code == "provider_rejected"
    try:
        client.responses.create(model="nobody", user="alice", input="x")
        raise SystemExit("somebody answers")
    except openai.NotFoundError as error:
        assert error.code == "agent_not_found", error


def completions():
    said = [{"role": "user", "content": "How are you?"}]
    first = client.chat.completions.create(**ASKED, messages=said)
    assert (first.choices[0].message.content, first.choices[0].finish_reason) == ("Well.", "stop"), first
    said += [first.choices[0].message, {"role": "user", "content": "Which?"}]
    pick = {"type": "function", "function": {"name": "pick", "parameters": {"type": "object", "properties": {}}}}
    calls, finish = [], None
    for chunk in client.chat.completions.create(**ASKED, messages=said, tools=[pick], stream=True):
        calls += chunk.choices[0].delta.tool_calls or []
        finish = chunk.choices[0].finish_reason or finish
    assert (finish, calls[0].function.name) == ("tool_calls", "pick"), (finish, calls)
    said.append({"role": "assistant", "content": None, "tool_calls": [call.model_dump() for call in calls]})
    said.append({"role": "tool", "tool_call_id": calls[0].id, "content": "red"})
    assert client.chat.completions.create(**ASKED, messages=said).choices[0].message.content == "Red it is."


globals()[os.environ["SCENARIO"]]()
