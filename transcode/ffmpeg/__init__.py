"""FFmpeg commands as values; the one home of `ffmpeg-python`. `run` says what they have in common."""
