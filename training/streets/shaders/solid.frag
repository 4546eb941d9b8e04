#version 430
// Depth is all that is left of a fragment.
void main() {}
