#version 430
// Depth as the sun sees it.
in vec3 in_position;
in vec2 in_uv;
in uint in_info;
in vec4 in_row0;
in vec4 in_row1;
in vec4 in_row2;
uniform mat4 clip_from_world;
out vec2 uv;
flat out uint info;

void main() {
    vec4 local = vec4(in_position, 1.0);
    vec3 world = vec3(dot(in_row0, local), dot(in_row1, local), dot(in_row2, local));
    uv = in_uv;
    info = in_info;
    gl_Position = clip_from_world * vec4(world, 1.0);
}
