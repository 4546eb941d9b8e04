#version 430
// The share of light that is left; it multiplies what was drawn.
in vec2 at;
layout(location = 0) out vec4 left;

void main() {
    vec2 inside = 1.0 - at * at;
    left = vec4(vec3(1.0 - 0.72 * smoothstep(0.0, 0.75, inside.x * inside.y)), 1.0);
}
