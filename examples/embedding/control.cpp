// Holds a pendulum upright, a thousand times a second: inverts the learned model by Newton's method with its Jacobian, and
// tells how late the ticks were and how long they took.
//
//     control [SECONDS]        by default 2
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include "pendulum.hpp"

using Clock = std::chrono::steady_clock;

static double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

// The torque at which the model gives the acceleration that is wanted.
static double torque_for(gradc::pendulum& model, double angle, double speed, double wanted) {
    double torque = 0.0;
    for (int iteration = 0; iteration < 3; ++iteration) {
        const double state[3] = {angle, speed, torque};
        const auto found = model(state);
        const double slope = found.jacobian[1 * 3 + 2];  // d acceleration / d torque
        if (std::abs(slope) < 0.1) break;
        torque -= (found.change[1] - wanted) / slope;
        torque = std::clamp(torque, -12.0, 12.0);
    }
    return torque;
}

int main(int count, char** arguments) {
    const auto period = std::chrono::milliseconds(1);
    const double dt = 0.001, seconds = count > 1 ? std::atof(arguments[1]) : 2.0;
    const int ticks = static_cast<int>(seconds / dt);
    gradc::pendulum model;
    double angle = 0.6, speed = 0.0, latest = 0.0, longest = 0.0, sum = 0.0;
    auto due = Clock::now() + period;
    for (int tick = 0; tick < ticks; ++tick, due += period) {
        std::this_thread::sleep_until(due);
        const auto begin = Clock::now();
        const double torque = torque_for(model, angle, speed, -16.0 * angle - 8.0 * speed);
        const auto end = Clock::now();
        latest = std::max(latest, microseconds(begin - due));
        longest = std::max(longest, microseconds(end - begin));
        sum += microseconds(end - begin);
        // The pendulum itself, a little step on.
        speed += dt * (9.81 * std::sin(angle) - 0.3 * speed + torque);
        angle += dt * speed;
    }
    std::printf("after %.1f s the pendulum stands at %.3f rad\n", seconds, angle);
    std::printf("a tick computes for %.2f us, at most %.1f us; the latest began %.0f us late\n", sum / ticks, longest, latest);
    return std::abs(angle) < 0.05 ? EXIT_SUCCESS : EXIT_FAILURE;
}
