"""What Omni-IML is compared with on equal terms: the same encoder, samples, losses and budget."""
