#version 430
// Leaves and twigs let the sun through where they are transparent.
in vec2 uv;
flat in uint info;
uniform sampler2DArray atlas;

void main() {
    uint material = (info >> 12) & 15u;
    if (material == 4u || material == 7u) {
        if (texture(atlas, vec3(uv, float(info & 255u))).a < 0.4) discard;
    }
}
