"""The interpretation module: what kind of manipulation a region shows, and which artifacts give it away."""
