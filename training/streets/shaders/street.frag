#version 430
// Radiance, class + instance, and metric depth of one fragment, in one pass.
// Compiled once per KIND: a software rasteriser runs every branch of a shader, so each kind of
// surface gets a program of its own that holds only what it needs.
#define KIND_MATTE 0
#define KIND_SHINY 1
#define KIND_FACADE 2
#define KIND_GROUND 3
#define KIND_FOLIAGE 4
#define KIND_VEIL 5
#define KIND_DRY_GROUND 6
//! KIND
in vec3 world;
in vec3 normal;
in vec2 uv;
in vec3 tint;
flat in uint info;
flat in uint identity;

uniform sampler2DArray atlas;
uniform sampler2D sky;
uniform sampler2DShadow shadow_map;
uniform mat4 shadow_from_world;
uniform vec3 eye;
uniform vec3 sun_direction;
uniform vec3 sun_color;
uniform vec3 ambient_up;
uniform vec3 ambient_down;
uniform vec3 fog_color;
uniform float fog_density;
uniform float wetness;
uniform float window_glow;
uniform float lamp_glow;
uniform int lamp_count;
uniform vec4 lamp_position[8];  // xyz, reach in metres
uniform vec3 lamp_color[8];
uniform int noise_layer;

layout(location = 0) out vec4 radiance;
layout(location = 1) out uint label;
layout(location = 2) out vec4 depth;

const uint GLASS = 2u, EMISSIVE = 5u;

#if KIND == KIND_FACADE
float hash(vec2 cell) {
    vec3 p = fract(vec3(cell.xyx) * 0.1031);
    p += dot(p, p.yzx + 33.33);
    return fract((p.x + p.y) * p.z);
}
#endif

#if KIND == KIND_SHINY || KIND == KIND_FACADE || KIND == KIND_GROUND
vec3 sky_light(vec3 direction, float blur) {
    vec2 at = direction.xy / (1.0 + max(direction.z, 0.02)) * 0.5 + 0.5;
    vec3 seen = textureLod(sky, at, blur).rgb;
#if KIND == KIND_SHINY
    // Polish shows the outlines of what stands around: treetops and roofs against the sky.
    vec2 azimuth = normalize(direction.xy + 1e-6);
    vec2 outline = texture(atlas, vec3(azimuth * 0.2 + direction.z * 0.1, float(noise_layer))).rg;
    float top = 0.9 * outline.r - 0.2 + 0.05 * outline.g;
    vec3 around = ambient_down * (0.2 + 0.5 * outline.g);
    return mix(around, seen, smoothstep(top, top + 0.04, direction.z));
#else
    // Low directions meet the other side of the street rather than the sky.
    return mix(ambient_down * 0.4, seen, smoothstep(-0.05, 0.32, direction.z));
#endif
}
#endif

void main() {
    uint layer = info & 255u;
    uint semantic = (info >> 16) & 255u;
    vec4 texel = texture(atlas, vec3(uv, float(layer)), -0.6);
    float alpha = 1.0;
#if KIND == KIND_FOLIAGE
    if (texel.a < 0.42) discard;
#endif
#if KIND == KIND_VEIL
    if (texel.a < 0.015) discard;
    alpha = texel.a;
#endif
    vec3 albedo = texel.rgb * texel.rgb;
    vec3 away = eye - world;
    float distance_to_eye = length(away);
    vec3 to_eye = away / distance_to_eye;
    vec3 n = normalize(normal);
    if (dot(n, to_eye) < 0.0) n = -n;

    vec3 shadow_at = (shadow_from_world * vec4(world + n * 0.06, 1.0)).xyz;
    float lit = texture(shadow_map, clamp(shadow_at, 0.0, 1.0));

    float gloss = 0.0;    // strength of the mirror image of the sky
    float mirror = 0.04;  // reflectance at normal incidence
    float blur = 4.0;
    vec3 glow = vec3(0.0);
#if KIND == KIND_FACADE
    float wall = smoothstep(0.55, 0.95, texel.a);
    float glass = 1.0 - smoothstep(0.05, 0.45, texel.a);
    float chance = hash(floor(uv) + float(layer));
    albedo *= mix(vec3(1.0), tint, wall) * mix(1.0, 0.25 + 0.9 * chance, glass);
    gloss = glass * 0.75;
    mirror = 0.08;
    blur = 1.5;
    float on = step(0.6, fract(chance * 7.31));
    glow = glass * window_glow * on * vec3(1.0, 0.78, 0.5) * (0.3 + albedo);
#else
    albedo *= tint;
#endif
#if KIND == KIND_FOLIAGE
    // Leaves finer than the texture's own texels, as on the ground.
    albedo *= 0.4 + 1.2 * texture(atlas, vec3(uv * 5.7, float(noise_layer))).g;
#endif
#if KIND == KIND_SHINY
    bool pane = ((info >> 12) & 15u) == GLASS;
    gloss = 1.0;
    mirror = pane ? 0.09 : 0.05;
    blur = pane ? 1.0 : 2.5;
#endif
#if KIND == KIND_GROUND || KIND == KIND_DRY_GROUND
    float broad = texture(atlas, vec3(world.xy * 0.043, float(noise_layer))).r;
    float fine = texture(atlas, vec3(world.yx * 0.21 + 0.3, float(noise_layer))).r;
    albedo *= (0.87 + 0.26 * broad) * (0.94 + 0.12 * fine);
    // Blades and grit, finer than the texture's own texels, which alone would make what is near
    // blurred and only what is far sharp.
    float grain = texture(atlas, vec3(uv * 7.3, float(noise_layer))).g;
    albedo *= 0.25 + 1.5 * grain;
#endif
#if KIND == KIND_GROUND
    float wet = wetness * smoothstep(0.25, 0.65, broad + 0.35 * wetness);
    albedo *= 1.0 - 0.55 * wet;
    gloss = wet * 0.8;
    mirror = 0.03;
    blur = 3.0;
#endif

    float facing = dot(n, sun_direction);
    float diffuse = max(facing, 0.0);
#if KIND == KIND_FOLIAGE || KIND == KIND_VEIL
    diffuse = 0.35 + 0.4 * max(facing, 0.0) + 0.2 * max(-facing, 0.0);
#endif
    vec3 light = sun_color * (diffuse * lit) + mix(ambient_down, ambient_up, 0.5 + 0.5 * n.z);
    for (int i = 0; i < lamp_count; ++i) {
        vec3 toward = lamp_position[i].xyz - world;
        float range = length(toward);
        float fade = clamp(1.0 - range / lamp_position[i].w, 0.0, 1.0);
        light += lamp_color[i] * fade * fade * (0.25 + 0.75 * max(dot(n, toward / max(range, 0.1)), 0.0));
    }
    vec3 color = albedo * light;
#if KIND == KIND_SHINY || KIND == KIND_FACADE || KIND == KIND_GROUND
    vec3 bounced = reflect(-to_eye, n);
    float grazing = 1.0 - max(dot(n, to_eye), 0.0);
    float fresnel = mirror + (1.0 - mirror) * grazing * grazing * grazing * grazing * grazing;
    color = mix(color, sky_light(bounced, blur), fresnel * gloss);
#endif
#if KIND == KIND_SHINY
    color += sun_color * (pow(max(dot(bounced, sun_direction), 0.0), 180.0) * lit * 1.5);
#endif
#if KIND == KIND_MATTE
    if (((info >> 12) & 15u) == EMISSIVE) glow = albedo * lamp_glow;
#endif
    color += glow;
    color = mix(fog_color, color, exp(-fog_density * distance_to_eye));
    radiance = vec4(color, alpha);
    label = semantic | (identity << 8);
    // The own vehicle (ignored, 255) stands in nobody's depth map, and where a veil is all but clear
    // its pixel shows what is behind: labelled as the veil, as annotators do, but at no one distance.
    bool has_depth = (semantic != 255u || identity != 65535u) && alpha >= 0.2;
    depth = vec4(has_depth ? 1.0 / gl_FragCoord.w : 0.0, 0.0, 0.0, 1.0);
}
