//! loss_grad: value and gradient of loss (networks.py:6).
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

mod loss_grad {
    //! Value and gradient of loss (networks.py:6).
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Input {
        pub w11: f64,
        pub w12: f64,
        pub w21: f64,
        pub w22: f64,
        pub v1: f64,
        pub v2: f64,
        pub x1: f64,
        pub x2: f64,
        pub y: f64,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Output {
        pub L: f64,
        /// `dL/dw11`
        pub d_w11: f64,
        /// `dL/dw12`
        pub d_w12: f64,
        /// `dL/dw21`
        pub d_w21: f64,
        /// `dL/dw22`
        pub d_w22: f64,
        /// `dL/dv1`
        pub d_v1: f64,
        /// `dL/dv2`
        pub d_v2: f64,
    }

    mod raw {
        use super::*;

        #[link(name = "loss_grad", kind = "static")]
        extern "C" {
            #[link_name = "loss_grad"]
            pub fn function(
                input: *const Input,
                output: *mut Output,
                workspace: *mut c_void,
            ) -> i32;
            #[link_name = "loss_grad_selftest"]
            pub fn selftest() -> i32;
        }
    }

    /// The function, ready to be called.
    pub struct LossGrad;

    impl LossGrad {
        pub const fn new() -> Self {
            LossGrad
        }

        /// The results.
        pub fn call(&mut self, input: &Input) -> Result<Output, Error> {
            let mut output = core::mem::MaybeUninit::<Output>::uninit();
            self::require(unsafe { raw::function(input, output.as_mut_ptr(), core::ptr::null_mut()) })?;
            Ok(unsafe { output.assume_init() })
        }

        /// Whether recorded inputs give the recorded results.
        pub fn selftest() -> bool {
            unsafe { raw::selftest() == 0 }
        }
    }

    impl Default for LossGrad {
        fn default() -> Self {
            Self::new()
        }
    }

    fn require(status: i32) -> Result<(), Error> {
        let message = match status {
            0 => return Ok(()),
            _ => "loss_grad failed",
        };
        Err(Error::Failed { status, message })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn selftest_passes() {
            assert!(LossGrad::selftest());
        }
    }
}

pub use loss_grad::*;
