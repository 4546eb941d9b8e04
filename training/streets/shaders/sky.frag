#version 430
// The sky behind everything: its radiance, its class, and no depth.
in vec3 ray;
uniform sampler2D sky;
uniform vec3 fog_color;
uniform float fog_amount;
layout(location = 0) out vec4 radiance;
layout(location = 1) out uint label;
layout(location = 2) out vec4 depth;

void main() {
    vec3 d = normalize(ray);
    vec3 color = textureLod(sky, d.xy / (1.0 + max(d.z, 0.004)) * 0.5 + 0.5, 0.0).rgb;
    radiance = vec4(mix(color, fog_color, fog_amount * (1.0 - 0.7 * smoothstep(0.0, 0.5, d.z))), 1.0);
    label = 10u;
    depth = vec4(0.0, 0.0, 0.0, 1.0);
}
