#version 430
// A triangle that covers the screen, with the viewing ray of each corner.
uniform mat4 ray_from_clip;
out vec3 ray;

void main() {
    vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
    ray = (ray_from_clip * vec4(corner, 0.0, 1.0)).xyz;
    gl_Position = vec4(corner, 1.0, 1.0);
}
