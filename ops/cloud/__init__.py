"""What is deployed to AWS: by a person and by both pipelines in one way."""
