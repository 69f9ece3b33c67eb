"""What is wrong with a process: processes, collections and bands that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openeo_jobs.simulator.collections import get_bands
from openeo_jobs.simulator.lifecycle import Problem
from openeo_jobs.simulator.processes import PROCESS_IDS

_OURS = (None, "backend")


def find_problems(process: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with *process*, its nested processes included; nothing where it would run.

    Processes of another namespace (a user's own, or from a url) are taken as they are.
    """
    return [problem for node in list_nodes(process) for problem in _find_problems_of_node(node)]


def list_nodes(process: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Go through the nodes of *process* and of the processes in their arguments."""
    graph = process.get("process_graph")
    for node in graph.values() if isinstance(graph, Mapping) else ():
        if isinstance(node, Mapping):
            yield node
            yield from _list_nested_nodes(get_arguments(node))


def get_arguments(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of *node*, which may be missing or make no sense."""
    arguments = node.get("arguments")
    return arguments if isinstance(arguments, Mapping) else {}


def _list_nested_nodes(arguments: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for argument in arguments.values():
        if isinstance(argument, Mapping):
            yield from list_nodes(argument)


def _find_problems_of_node(node: Mapping[str, Any]) -> Iterator[Problem]:
    process_id = str(node.get("process_id"))
    if node.get("namespace") in _OURS and process_id not in PROCESS_IDS:
        yield Problem(
            code="ProcessUnsupported", message=f"Process with identifier '{process_id}' is not available."
        )
    if process_id == "load_collection":
        yield from _find_problems_of_collection(get_arguments(node))


def _find_problems_of_collection(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    collection_id = str(arguments.get("id"))
    known = get_bands(collection_id)
    if known is None:
        yield Problem(code="CollectionNotFound", message=f"Collection '{collection_id}' does not exist.")
        return
    bands = arguments.get("bands")
    for band in bands if isinstance(bands, list) else ():
        if band not in known:
            message = (
                f"Band '{band}' does not exist in collection '{collection_id}'; it has: {', '.join(known)}."
            )
            yield Problem(code="ProcessParameterInvalid", message=message)
