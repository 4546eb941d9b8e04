#version 430
// One vertex of an instanced mesh: world position, shading inputs, and clip position.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in vec4 in_color;
in uint in_info;
in vec4 in_row0;
in vec4 in_row1;
in vec4 in_row2;
in uvec4 in_colors;
in uint in_identity;

uniform mat4 clip_from_world;

invariant gl_Position;

out vec3 world;
out vec3 normal;
out vec2 uv;
out vec3 tint;
flat out uint info;
flat out uint identity;

void main() {
    vec4 local = vec4(in_position, 1.0);
    world = vec3(dot(in_row0, local), dot(in_row1, local), dot(in_row2, local));
    normal = vec3(dot(in_row0.xyz, in_normal), dot(in_row1.xyz, in_normal), dot(in_row2.xyz, in_normal));
    uv = in_uv;
    info = in_info;
    identity = in_identity;
    uint slot = (in_info >> 8) & 15u;
    vec3 shade = in_color.rgb;
    if (slot < 4u) {
        shade *= unpackUnorm4x8(in_colors[slot]).rgb;
    }
    tint = shade * shade;  // sRGB to linear, near enough
    gl_Position = clip_from_world * vec4(world, 1.0);
    // Flat decals (road markings) lie in the plane of what they are painted on: the higher step wins.
    gl_Position.z -= float(in_info >> 24) * 4e-6 * gl_Position.w;
}
