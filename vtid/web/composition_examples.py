"""Examples of what goes over the wire about compositions."""

from __future__ import annotations

from typing import Any

from vtid.web.examples import JOB_ID

DOCUMENT: dict[str, Any] = {
    "title": "Holidays",
    "clips": [
        {"video_url": "https://example.org/beach.mp4", "start_time": 0, "end_time": 10},
        {"video_url": JOB_ID, "start_time": 10, "end_time": 15, "trim_start": 2},
    ],
    "audio": {"music_url": "asset:song.mp3", "music_volume": 0.3, "original_audio_volume": 0.7},
    "overlays": [
        {
            "text": "Welcome!",
            "position": "center",
            "start_time": 0,
            "end_time": 3,
            "font_size": 48,
            "font_color": "#FFFFFF",
        }
    ],
    "output": {"format": "mp4", "quality": "medium", "resolution": "1080p"},
}
URL = f"http://localhost:8750/files/users/local/jobs/{JOB_ID}/result/0/film.mp4?expires=…&signature=…"
VIEW: dict[str, Any] = {
    "id": JOB_ID,
    "composition_id": JOB_ID,
    "title": "Holidays",
    "description": None,
    "status": "completed",
    "overall_progress": 100,
    "message": "Completed",
    "output_url": URL,
    "created_at": "2025-12-01T10:30:00.000Z",
    "updated_at": "2025-12-01T10:30:21.000Z",
    "completed_at": "2025-12-01T10:30:21.000Z",
    "estimated_credits": 15,
    "actual_credits_used": 15,
    "error": None,
}
STATUS: dict[str, Any] = {
    "id": JOB_ID,
    "composition_id": JOB_ID,
    "status": "processing",
    "overall_progress": 42,
    "current_stage": "rendering",
    "message": "Rendering",
    "stages": [
        {
            "stage": "pending",
            "progress": 100,
            "started_at": "2025-12-01T10:30:00.000Z",
            "completed_at": "2025-12-01T10:30:01.000Z",
            "message": None,
        },
        {
            "stage": "rendering",
            "progress": 42,
            "started_at": "2025-12-01T10:30:04.000Z",
            "completed_at": None,
            "message": "Rendering",
        },
    ],
    "error": None,
}
METADATA: dict[str, Any] = {
    "id": JOB_ID,
    "composition_id": JOB_ID,
    "request": DOCUMENT,
    "resources": {
        "credits": 15,
        "render_seconds": 11.2,
        "encoder": "libx264",
        "audio_encoder": "aac",
        "input_bytes": 31457280,
        "output_bytes": 9437184,
    },
    "input_files": [
        {
            "name": "https://example.org/beach.mp4",
            "asset_id": JOB_ID,
            "filename": "beach.mp4",
            "size": 20971520,
            "duration": 12.48,
        }
    ],
    "output_file": {
        "step_id": "film",
        "output": "video",
        "kind": "video",
        "filename": "film.mp4",
        "size": 9437184,
        "url": URL,
    },
    "warnings": ["clips[1].transition.duration: is cut to 0.40 s, half of the shorter clip"],
    "report": None,
}
DOWNLOAD: dict[str, Any] = {
    "download_url": URL,
    "expires_at": "2025-12-01T11:30:21.000Z",
    "file_size_bytes": 9437184,
    "format": "mp4",
    "filename": "film.mp4",
}
