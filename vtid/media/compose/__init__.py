"""Composing: a timeline becomes a film.

`stack` gives the frames one after another, of `pictures` that `geometry` brings to size; `mixing` gives the sound;
`write` brings both into a file. What `copying` finds that is a source's as it is, `joined` copies.
"""

from __future__ import annotations

from vtid.media.compose.write import compose, explain

__all__ = ["compose", "explain"]
