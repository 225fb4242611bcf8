//! regression_grad: value and gradient of regression (networks.py:34).
//!
//! gradc 0.1.0. Generated; yours, no conditions (0BSD). No standard library but for memory that grows.
#![cfg_attr(not(test), no_std)]
#![allow(non_snake_case, clippy::too_many_arguments, clippy::excessive_precision)]

extern crate alloc;

use core::ffi::c_void;
use core::fmt;

/// Why a call has no results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A check on the data failed: the status of the C function, and what it means.
    Failed { status: i32, message: &'static str },
    /// A slice has another length than the sizes of the call give it.
    Length { argument: &'static str, found: usize, expected: usize },
    /// A size is larger than 2^31.
    Size(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed { message, .. } => f.write_str(message),
            Error::Length { argument, found, expected } => {
                write!(f, "{argument} has {found} elements, expected {expected}")
            }
            Error::Size(size) => write!(f, "the size {size} is too large"),
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

fn wide(size: usize) -> i128 {
    size as i128
}

fn require_length(argument: &'static str, found: usize, expected: i128) -> Result<(), Error> {
    if found as i128 == expected {
        return Ok(());
    }
    Err(Error::Length { argument, found, expected: usize::try_from(expected).unwrap_or(usize::MAX) })
}

fn require_sizes(sizes: &[usize]) -> Result<(), Error> {
    match sizes.iter().find(|&&size| size > 1 << 31) {
        Some(&size) => Err(Error::Size(size)),
        None => Ok(()),
    }
}

fn blocks(bytes: i128) -> usize {
    usize::try_from(bytes).expect("memory has that many bytes").div_ceil(64)
}

mod regression_grad {
    //! Value and gradient of regression (networks.py:34).
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    pub struct Results {
        pub L: f64,
        /// `[3][2]`, `dL/dw["a"]`
        pub d_w_a: [f64; 6],
        /// `[2]`, `dL/dw["b"]`
        pub d_w_b: [f64; 2],
    }

    mod raw {
        use super::*;

        #[link(name = "regression_grad", kind = "static")]
        extern "C" {
            #[link_name = "regression_grad"]
            pub fn function(
                batch: usize,
                w_a: *const f64,
                w_b: *const f64,
                x: *const f64,
                y: *const f64,
                scale: f64,
                L: *mut f64,
                d_w_a: *mut f64,
                d_w_b: *mut f64,
                workspace: *mut c_void,
            ) -> i32;
            #[link_name = "regression_grad_selftest"]
            pub fn selftest() -> i32;
        }
    }

    /// The function with the workspace of its calls, which grows to what the largest has needed.
    pub struct RegressionGrad {
        workspace: alloc::vec::Vec<Block>,
    }

    impl RegressionGrad {
        pub const fn new() -> Self {
            RegressionGrad {
                workspace: alloc::vec::Vec::new(),
            }
        }

        /// The results.
        pub fn call(
            &mut self,
            batch: usize,
            w_a: &[f64; 6],
            w_b: &[f64; 2],
            x: &[f64],
            y: &[f64],
            scale: f64,
        ) -> Result<Results, Error> {
            let mut results_ = Results {
                L: 0.0,
                d_w_a: [0.0; 6],
                d_w_b: [0.0; 2],
            };
            self.call_into(
                batch,
                w_a,
                w_b,
                x,
                y,
                scale,
                Some(&mut results_.L),
                Some(&mut results_.d_w_a),
                Some(&mut results_.d_w_b),
            )?;
            Ok(results_)
        }

        /// Writes the results where the caller wants them, those of `None` nowhere.
        pub fn call_into(
            &mut self,
            batch: usize,
            w_a: &[f64; 6],
            w_b: &[f64; 2],
            x: &[f64],
            y: &[f64],
            scale: f64,
            L: Option<&mut f64>,
            d_w_a: Option<&mut [f64; 6]>,
            d_w_b: Option<&mut [f64; 2]>,
        ) -> Result<(), Error> {
            super::require_sizes(&[batch])?;
            super::require_length("x", x.len(), 3 * super::wide(batch))?;
            super::require_length("y", y.len(), 2 * super::wide(batch))?;
            self.reserve(batch);
            self::require(unsafe {
                raw::function(
                    batch,
                    w_a.as_ptr(),
                    w_b.as_ptr(),
                    x.as_ptr(),
                    y.as_ptr(),
                    scale,
                    L.map_or(core::ptr::null_mut(), |number| number),
                    d_w_a.map_or(core::ptr::null_mut(), |array| array.as_mut_ptr()),
                    d_w_b.map_or(core::ptr::null_mut(), |array| array.as_mut_ptr()),
                    self.workspace.as_mut_ptr().cast(),
                )
            })
        }

        /// Allocates what calls of these sizes need.
        pub fn reserve(&mut self, batch: usize) {
            let needed = super::blocks(64 * i128::div_euclid(super::wide(batch) + 3, 4));
            if self.workspace.len() < needed {
                self.workspace = alloc::vec![Block::EMPTY; needed];
            }
        }

        /// Whether recorded inputs give the recorded results.
        pub fn selftest() -> bool {
            unsafe { raw::selftest() == 0 }
        }
    }

    impl Default for RegressionGrad {
        fn default() -> Self {
            Self::new()
        }
    }

    fn require(status: i32) -> Result<(), Error> {
        let message = match status {
            0 => return Ok(()),
            _ => "regression_grad failed",
        };
        Err(Error::Failed { status, message })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn selftest_passes() {
            assert!(RegressionGrad::selftest());
        }
    }
}

pub use regression_grad::*;
