#version 430
// Unit squares of ground that something stands on.
in vec4 in_row0;
in vec4 in_row1;
in vec4 in_row2;
uniform mat4 clip_from_world;
out vec2 at;

void main() {
    at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    vec4 local = vec4(at * 0.5, 0.02, 1.0);
    vec3 world = vec3(dot(in_row0, local), dot(in_row1, local), dot(in_row2, local));
    gl_Position = clip_from_world * vec4(world, 1.0);
    gl_Position.z -= 1e-4 * gl_Position.w;
}
