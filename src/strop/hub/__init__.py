"""Models in and out: by name, from folders and the Hub, and out again with a card. It knows no policy."""
