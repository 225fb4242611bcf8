//! classifier_grad: value and gradient of classifier (networks.py:25).
//!
//! gradc 0.1.0. Generated; yours, no conditions (0BSD). No standard library, no allocation.
#![cfg_attr(not(test), no_std)]
#![allow(non_snake_case, clippy::too_many_arguments, clippy::excessive_precision)]

use core::ffi::c_void;
use core::fmt;

/// Why a call has no results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A check on the data failed: the status of the C function, and what it means.
    Failed { status: i32, message: &'static str },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed { message, .. } => f.write_str(message),
        }
    }
}

impl core::error::Error for Error {}

/// Memory of workspaces, which start at a multiple of 64 bytes.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Block([u8; 64]);

impl Block {
    pub const EMPTY: Block = Block([0; 64]);
}

mod classifier_grad {
    //! Value and gradient of classifier (networks.py:25).
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    pub struct Results {
        pub L: f64,
        /// `[4][5]`, `dL/dlayers[0]["W"]`
        pub d_layers_0_W: [f64; 20],
        /// `[5]`, `dL/dlayers[0]["b"]`
        pub d_layers_0_b: [f64; 5],
        /// `[5][3]`, `dL/dlayers[1]["W"]`
        pub d_layers_1_W: [f64; 15],
        /// `[3]`, `dL/dlayers[1]["b"]`
        pub d_layers_1_b: [f64; 3],
    }

    mod raw {
        use super::*;

        #[link(name = "classifier_grad", kind = "static")]
        extern "C" {
            #[link_name = "classifier_grad"]
            pub fn function(
                layers_0_W: *const f64,
                layers_0_b: *const f64,
                layers_1_W: *const f64,
                layers_1_b: *const f64,
                x: *const f64,
                labels: *const i64,
                L: *mut f64,
                d_layers_0_W: *mut f64,
                d_layers_0_b: *mut f64,
                d_layers_1_W: *mut f64,
                d_layers_1_b: *mut f64,
                workspace: *mut c_void,
            ) -> i32;
            #[link_name = "classifier_grad_selftest"]
            pub fn selftest() -> i32;
        }
    }

    /// The function with the workspace of its calls.
    pub struct ClassifierGrad {
        workspace: [Block; 12],
    }

    impl ClassifierGrad {
        pub const fn new() -> Self {
            ClassifierGrad {
                workspace: [Block::EMPTY; 12],
            }
        }

        /// The results.
        pub fn call(
            &mut self,
            layers_0_W: &[f64; 20],
            layers_0_b: &[f64; 5],
            layers_1_W: &[f64; 15],
            layers_1_b: &[f64; 3],
            x: &[f64; 24],
            labels: &[i64; 6],
        ) -> Result<Results, Error> {
            let mut results_ = Results {
                L: 0.0,
                d_layers_0_W: [0.0; 20],
                d_layers_0_b: [0.0; 5],
                d_layers_1_W: [0.0; 15],
                d_layers_1_b: [0.0; 3],
            };
            self.call_into(
                layers_0_W,
                layers_0_b,
                layers_1_W,
                layers_1_b,
                x,
                labels,
                Some(&mut results_.L),
                Some(&mut results_.d_layers_0_W),
                Some(&mut results_.d_layers_0_b),
                Some(&mut results_.d_layers_1_W),
                Some(&mut results_.d_layers_1_b),
            )?;
            Ok(results_)
        }

        /// Writes the results where the caller wants them, those of `None` nowhere.
        pub fn call_into(
            &mut self,
            layers_0_W: &[f64; 20],
            layers_0_b: &[f64; 5],
            layers_1_W: &[f64; 15],
            layers_1_b: &[f64; 3],
            x: &[f64; 24],
            labels: &[i64; 6],
            L: Option<&mut f64>,
            d_layers_0_W: Option<&mut [f64; 20]>,
            d_layers_0_b: Option<&mut [f64; 5]>,
            d_layers_1_W: Option<&mut [f64; 15]>,
            d_layers_1_b: Option<&mut [f64; 3]>,
        ) -> Result<(), Error> {
            self::require(unsafe {
                raw::function(
                    layers_0_W.as_ptr(),
                    layers_0_b.as_ptr(),
                    layers_1_W.as_ptr(),
                    layers_1_b.as_ptr(),
                    x.as_ptr(),
                    labels.as_ptr(),
                    L.map_or(core::ptr::null_mut(), |number| number),
                    d_layers_0_W.map_or(core::ptr::null_mut(), |array| array.as_mut_ptr()),
                    d_layers_0_b.map_or(core::ptr::null_mut(), |array| array.as_mut_ptr()),
                    d_layers_1_W.map_or(core::ptr::null_mut(), |array| array.as_mut_ptr()),
                    d_layers_1_b.map_or(core::ptr::null_mut(), |array| array.as_mut_ptr()),
                    self.workspace.as_mut_ptr().cast(),
                )
            })
        }

        /// Whether recorded inputs give the recorded results.
        pub fn selftest() -> bool {
            unsafe { raw::selftest() == 0 }
        }
    }

    impl Default for ClassifierGrad {
        fn default() -> Self {
            Self::new()
        }
    }

    fn require(status: i32) -> Result<(), Error> {
        let message = match status {
            0 => return Ok(()),
            16 => "index is out of bounds for axis 1 with size 3 (networks.py:31: return -np.mean(np.log(p[np.arange(len(x)), labels])))",
            _ => "classifier_grad failed",
        };
        Err(Error::Failed { status, message })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn selftest_passes() {
            assert!(ClassifierGrad::selftest());
        }
    }
}

pub use classifier_grad::*;
