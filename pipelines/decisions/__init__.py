"""What decisions were made from: the logged vectors, and whether they can be made again."""
