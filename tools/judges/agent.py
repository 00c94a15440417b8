#!/usr/bin/env python3
"""An agent with the official Python SDK of the Model Context Protocol, which knows nothing of us.

  agent.py PROGRAM HOME        over standard input and output
  agent.py --http URL TOKEN    over HTTP

It lists the tools, checks their schemas, calls each, and has the SDK compare every answer with the schema that the tool
promised. It expects a source `docs` with an item whose name begins with `invoice`.
"""

import asyncio
import json
import sys

import jsonschema
from mcp import ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

problems = []


def that(is_true, what):
    if not is_true:
        problems.append(what)


async def look(session):
    tools = {tool.name: tool.model_dump(by_alias=True, exclude_none=True) for tool in (await session.list_tools()).tools}
    that(len(tools) == 11, f"{len(tools)} tools are listed")
    for name, tool in tools.items():
        jsonschema.Draft202012Validator.check_schema(tool["inputSchema"])
        jsonschema.Draft202012Validator.check_schema(tool["outputSchema"])
        that(tool["annotations"]["destructiveHint"] is False, f"{name} says that it destroys")
    answers = {}

    async def call(name, **arguments):
        jsonschema.validate(arguments, tools[name]["inputSchema"])
        result = await session.call_tool(name, arguments)
        if result.is_error:
            problems.append(f"{name}: {result.content}")
            return {}
        jsonschema.validate(result.structured_content, tools[name]["outputSchema"])
        answers[name] = result.structured_content
        return result.structured_content

    await call("list_sources")
    await call("list_moments", source="docs", limit=5)
    await call("capture_now", source="docs", reason="a judge looks")
    await call("query_backup", source="docs")
    found = await call("find_items", text="invoice*")
    hits = found.get("untrusted_content", {}).get("hits", [])
    that(hits, "nothing was found")
    if hits:
        shown = await call("show_item", source="docs", item=hits[0]["entry"]["item"])
        that("hunter2" not in json.dumps(shown), "a password is shown")
    await call("estimate_blast_radius", actor="claude")
    await call("declare_intent", source="docs", actor="claude", verbs=["delete"], items_max=1, minutes=5, reason="old")
    await call("verify_proof", certificate="{}")
    for name, arguments in [
        ("restore_status", {"case": "0123456789abcdef"}),
        ("request_restore", {"target": {"what": "incident", "incident": 99}, "reason": "x"}),
        ("show_item", {"source": "docs", "item": "zz"}),
        ("capture_now", {"source": "nowhere", "reason": "x"}),
        ("capture_now", {"source": "docs", "reason": "x", "force": True}),
    ]:
        result = await session.call_tool(name, arguments)
        that(result.is_error, f"{name} with {arguments} was answered")
    for name in ["delete", "approve", "apply", ""]:
        try:
            await session.call_tool(name, {})
            problems.append(f"there is a tool {name!r}")
        except MCPError:
            pass
    return answers


async def over_streams(program, home):
    scopes = "see,content,snapshot,request"
    server = StdioServerParameters(command=program, args=["--home", home, "mcp", "--as", "judge", "--scope", scopes])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        return await look(session)


async def over_http(url, token):
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        create_mcp_http_client(headers=headers) as client,
        streamable_http_client(url, http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        return await look(session)


def main(arguments):
    if arguments[0] == "--http":
        return asyncio.run(over_http(*arguments[1:]))
    return asyncio.run(over_streams(*arguments))


answers = main(sys.argv[1:])
print(json.dumps({"tools": sorted(answers), "problems": problems}))
sys.exit(1 if problems else 0)
