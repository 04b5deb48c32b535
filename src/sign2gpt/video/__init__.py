"""From a video file to the frames the model sees."""
