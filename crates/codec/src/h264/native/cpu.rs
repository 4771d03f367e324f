//! What OpenH264 was built to use of the processor.

use std::ffi::{CStr, c_char, c_int, c_void};

use openh264_sys2::{
    ENCODER_OPTION_TRACE_CALLBACK, ENCODER_OPTION_TRACE_CALLBACK_CONTEXT,
    ENCODER_OPTION_TRACE_LEVEL, WELS_LOG_INFO, WelsTraceCallback,
};

use super::{Native, Parameters, from_source};

/// The CPU features that OpenH264 was built to use and found here, as a bit mask
/// of its own; `None` if it does not say.
pub(in super::super) fn cpu_features() -> Option<u32> {
    let mut features: Option<u32> = None;
    let mut native = Native::create(from_source()).ok()?;
    let mut context: *mut c_void = (&raw mut features).cast();
    let mut callback: WelsTraceCallback = Some(note_features);
    let mut level: c_int = WELS_LOG_INFO;
    native.set_option(ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, &mut context).ok()?;
    native.set_option(ENCODER_OPTION_TRACE_CALLBACK, &mut callback).ok()?;
    native.set_option(ENCODER_OPTION_TRACE_LEVEL, &mut level).ok()?;
    native.initialize(&Parameters::smallest()).ok()?;
    drop(native);
    features
}

/// Takes the mask out of the trace line that has it.
///
/// # Safety
///
/// `context` is that of [`cpu_features`], `text` a C string.
unsafe extern "C" fn note_features(context: *mut c_void, _level: c_int, text: *const c_char) {
    // SAFETY: the caller's promise.
    let (features, text) = unsafe { (&mut *context.cast::<Option<u32>>(), CStr::from_ptr(text)) };
    let text = text.to_string_lossy();
    if let Some((_, rest)) = text.split_once("CPU features/capacities (0x")
        && let Some((mask, _)) = rest.split_once(')')
    {
        *features = u32::from_str_radix(mask, 16).ok();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn openh264_names_its_cpu_features_as_it_starts() {
        assert!(super::cpu_features().is_some());
    }
}
