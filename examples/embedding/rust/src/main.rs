//! Fits a damped oscillation to noisy measurements by gradient descent with momentum, with value and gradient from gradc.

use fit::{Error, Fit};

const TRUTH: [f64; 3] = [2.0, 0.3, 5.0];
const SAMPLES: usize = 400;

/// Numbers from -1 to 1, the same in every run: xorshift64 (Marsaglia, 2003).
fn noise(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn main() -> Result<(), Error> {
    let mut state = 88172645463325252;
    let t: Vec<f64> = (0..SAMPLES).map(|k| k as f64 * 0.02).collect();
    let [height, decay, frequency] = TRUTH;
    let y: Vec<f64> = t
        .iter()
        .map(|&t| height * (-decay * t).exp() * (frequency * t).cos() + 0.1 * noise(&mut state))
        .collect();

    let mut error = Fit::new(); // it holds the scratch memory of its calls
    let mut p = [1.5, 0.5, 4.8];
    let mut velocity = [0.0; 3];
    for step in 0..=2000 {
        let found = error.call(SAMPLES, &p, &t, &y)?;
        if step % 400 == 0 {
            println!("step {step:4}  error {:.5}  height {:.3}  decay {:.3}  frequency {:.3}", found.L, p[0], p[1], p[2]);
        }
        for k in 0..3 {
            velocity[k] = 0.9 * velocity[k] - 0.01 * found.d_p[k];
            p[k] += velocity[k];
        }
    }
    Ok(())
}
