"""What consumers write, in Chinese: sorted into topics and sentiment by a small model on the processor."""
