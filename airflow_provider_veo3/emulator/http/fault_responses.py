"""Responses that faults send, and responses that faults spoil."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.http.response_bodies import (
    Body,
    BytesBody,
    FilledBody,
    PartBody,
    box_start,
)
from airflow_provider_veo3.emulator.http.responses import (
    HTML_TYPE,
    JSON_TYPE,
    TEXT_TYPE,
    Response,
    expired_url,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.service.faults import Fault

GARBAGE = bytes(range(128, 256)) + b'{"success": tru'
INJECTED = b'{"success": false, "error": "INJECTED_FAULT", "message": "Injected fault"}'
WEB_PAGE = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    b"<body>Checking your browser.</body></html>"
)
ROW_NUMBER = "#" * 9
FURTHER_ROW = {
    "taskId": f"veo_1577836800000_{ROW_NUMBER}",
    "type": "text-to-video",
    "model": "veo-3.1-fast-generate-001",
    "prompt": "A further row",
    "status": "completed",
    "creditsCost": 190,
    "createdAt": "2020-01-01T00:00:00.000Z",
    "completedAt": "2020-01-01T00:01:30.000Z",
    "processingTime": 90,
    "videoCount": 1,
}


def fault_response(fault: Fault, expired_url_status: int) -> Response:
    """Return the response of a fault that replaces the service's response."""
    if fault.kind == "expire":
        response = expired_url(expired_url_status)
    else:
        defaults = {
            "garbage": (200, JSON_TYPE, GARBAGE),
            "html_instead": (200, HTML_TYPE, WEB_PAGE),
            "redirect": (302, "text/plain", b""),
        }
        status, content_type, data = defaults.get(fault.kind, (500, JSON_TYPE, INJECTED))
        if isinstance(fault.body, str):
            data, content_type = fault.body.encode(), TEXT_TYPE
        elif fault.body is not None:
            data, content_type = json.dumps(fault.body).encode(), JSON_TYPE
        response = Response.of_bytes(fault.status or status, fault.content_type or content_type, data)
        if fault.bytes is not None:
            response.fill(fault.bytes)
    if fault.location:
        response.headers["Location"] = fault.location
    # An empty header is not sent, and keeps the rate limit header of the same name from being added.
    response.headers |= {name: text or "" for name, text in fault.headers.items()}
    return response


def spoil(response: Response, fault: Fault) -> tuple[Response, Fault]:
    """Return a response with the body of a fault, and the fault positioned in it."""
    if fault.before_box:
        fault = dataclasses.replace(fault, bytes=box_start(response.body, fault.before_box.encode()))
    match fault.kind:
        case "huge_body":
            data = b"".join(response.body.read(0, response.body.size)).removesuffix(b"}")
            response.send_all(BytesBody(data + b', "padding": "'))
            response.fill(fault.bytes or 0, b'"}', filler=b"x")
            response.sized = False
        case "many_rows":
            page = json.loads(b"".join(response.body.read(0, response.body.size)))
            response.send_all(_with_rows(page, fault.rows or 0))
            response.sized = False
        case "short_file":
            size = min(position_of(response, fault), response.length)
            response.send_all(PartBody(response.body, size))
            response.headers["ETag"] = f'"{size}-{response.headers["ETag"][1:]}'
        case "no_length" | "end_early":
            response.sized = False
    return response, fault


def _with_rows(page: dict[str, Any], count: int) -> Body:
    """Return a page of the history with further rows behind its own."""
    head, _, tail = json.dumps(page, ensure_ascii=False).partition('"videos": [')
    own, _, tail = tail.rpartition("]")
    row = json.dumps(FURTHER_ROW)
    first = f'{head}"videos": [{own}, ' if own else f'{head}"videos": ['
    # All rows are equally long, so that each is found by its number.
    return FilledBody(
        first.encode(),
        lambda number: row.replace(ROW_NUMBER, f"{number:0{len(ROW_NUMBER)}d}").encode() + b", ",
        count - 1,
        row.encode() + f"]{tail}".encode(),
    )


def position_of(response: Response, fault: Fault | None) -> int:
    """Return the position in the body at which a fault acts."""
    if fault is None:
        return 0
    if fault.bytes is not None:
        return fault.bytes
    return 0 if fault.kind in ("corrupt", "drip") else response.length // 2
