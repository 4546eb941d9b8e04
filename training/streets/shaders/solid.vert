#version 430
// Only where the vertices of street.vert come to lie on the screen, to the last bit.
in vec3 in_position;
in uint in_info;
in vec4 in_row0;
in vec4 in_row1;
in vec4 in_row2;

uniform mat4 clip_from_world;

invariant gl_Position;

void main() {
    vec4 local = vec4(in_position, 1.0);
    vec3 world = vec3(dot(in_row0, local), dot(in_row1, local), dot(in_row2, local));
    gl_Position = clip_from_world * vec4(world, 1.0);
    gl_Position.z -= float(in_info >> 24) * 4e-6 * gl_Position.w;
}
