"""The vendor's published samples, verbatim."""

from __future__ import annotations

import json
from typing import Any

ID = "veo_1703123456789_abc123def"
BASE = "https://api.veo3gen.co"

ACCEPTED: dict[str, Any] = json.loads("""
{
  "success": true,
  "message": "Video generation started",
  "taskId": "veo_1703123456789_abc123def",
  "status": "pending",
  "estimatedWaitTime": "60-120 seconds",
  "creditsUsed": 500,
  "remainingCredits": 600,
  "statusUrl": "/api/veo/status/veo_1703123456789_abc123def",
  "downloadUrl": "/api/veo/download/veo_1703123456789_abc123def"
}""")

COMPLETED: dict[str, Any] = json.loads("""
{
  "success": true,
  "taskId": "veo_1703123456789_abc123def",
  "status": "completed",
  "type": "text-to-video",
  "model": "veo-3.0-generate-preview",
  "prompt": "A majestic dragon soaring...",
  "creditsCost": 500,
  "createdAt": "2023-12-20T10:30:45.123Z",
  "completedAt": "2023-12-20T10:32:15.456Z",
  "processingTime": 90,
  "videos": [
    {
      "url": "https://storage.googleapis.com/veo3gen-gen-video/videos/task-id/sample_0.mp4",
      "mimeType": "video/mp4",
      "expiresAt": "2023-12-21T10:32:15.456Z"
    }
  ]
}""")

DOWNLOAD: dict[str, Any] = {
    "success": True,
    "taskId": ID,
    "videos": COMPLETED["videos"],
    "totalVideos": 1,
}

HISTORY: dict[str, Any] = json.loads("""
{
  "success": true,
  "videos": [
    {
      "taskId": "veo_1703123456789_abc123def",
      "type": "text-to-video",
      "model": "veo-3.0-generate-preview",
      "prompt": "A majestic dragon soaring...",
      "status": "completed",
      "creditsCost": 500,
      "createdAt": "2023-12-20T10:30:45.123Z",
      "completedAt": "2023-12-20T10:32:15.456Z",
      "processingTime": 90,
      "videoCount": 1
    }
  ],
  "pagination": {
    "total": 45,
    "limit": 20,
    "skip": 0,
    "hasMore": true
  }
}""")

MODELS: dict[str, Any] = json.loads("""
{
  "success": true,
  "models": [
    {
      "id": "veo-3.0-generate-001",
      "name": "Veo 3.0 Quality",
      "description": "High-quality video with audio",
      "capabilities": ["text-to-video", "image-to-video", "audio-generation"],
      "pricing": { "creditsPerVideo": 500, "creditsPerVideoNoAudio": 250 }
    },
    {
      "id": "veo-3.0-fast-generate-001",
      "name": "Veo 3.0 Fast",
      "description": "Fast video generation with audio",
      "capabilities": ["text-to-video", "image-to-video", "audio-generation"],
      "pricing": { "creditsPerVideo": 190, "creditsPerVideoNoAudio": 120 }
    },
    {
      "id": "veo-3.1-generate-001",
      "name": "Veo 3.1 Quality",
      "description": "Latest Veo 3.1 high-quality video with first+last frame support",
      "capabilities": ["text-to-video", "image-to-video", "first-last-frame", "audio-generation"],
      "pricing": { "creditsPerVideo": 500, "creditsPerVideoNoAudio": 250 }
    },
    {
      "id": "veo-3.1-fast-generate-001",
      "name": "Veo 3.1 Fast",
      "description": "Latest Veo 3.1 fast video with first+last frame support",
      "capabilities": ["text-to-video", "image-to-video", "first-last-frame", "audio-generation"],
      "pricing": { "creditsPerVideo": 190, "creditsPerVideoNoAudio": 120 }
    },
    {
      "id": "veo-3.1-lite-generate-001",
      "name": "Veo 3.1 Lite",
      "description": "Affordable 720p video generation — cheapest option",
      "capabilities": ["text-to-video", "image-to-video", "audio-generation"],
      "pricing": { "creditsPerVideo": 65, "creditsPerVideoNoAudio": 35 }
    }
  ],
  "defaultModel": "veo-3.1-fast-generate-001"
}""")

NO_CREDITS = {
    "success": False,
    "error": "INSUFFICIENT_CREDITS",
    "message": "Not enough credits to generate video",
    "required": 400,
    "available": 50,
}
POLICY = {
    "success": False,
    "error": "CONTENT_POLICY_VIOLATION",
    "message": "Content violates usage policies",
    "details": "Prompt contains prohibited content",
}
RATE_LIMIT = {
    "error": {
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "Rate limit exceeded. Maximum 60 requests per minute allowed.",
        "details": {"limit": 60, "remaining": 0, "reset": 1640995200, "retry_after": 60},
    }
}


def flat(code: str, message: str = "Human readable", **more: Any) -> dict[str, Any]:
    """Return an error in the envelope of the errors page."""
    return {"success": False, "error": code, "message": message, **more}


def nested(code: str, message: str = "Human readable", **more: Any) -> dict[str, Any]:
    """Return an error in the envelope of the rate limits page."""
    return {"error": {"code": code, "message": message, **({"details": more} if more else {})}}
