//! What is wrong with a component as far as that can be seen without compiling it, which takes seconds and much memory.

use wasmtime::wasmparser::{
    BinaryReaderError, ComponentTypeRef, Encoding, FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser,
    Payload, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use super::component::{LoadError, check_exports, check_imports};

/// What a function may be for the compiler: its bytes, times the values that it has at a time. The compiler takes up to
/// three bytes of memory for each, so 700 MiB here. The largest function of CPython has 9 Mi of it, that of QuickJS 3; one
/// in a plugin without optimisation, which has a local for everything, had 59.
pub(super) const MAX_FUNCTION: u64 = 256 << 20;
/// A byte of a function's body takes as much memory as so many values that are there while it runs.
const VALUES_OF_A_BYTE: u64 = 80;

/// What is read of a component.
#[derive(Default)]
struct Outline<'a> {
    /// The names of its imports, and whether they are functions.
    imports: Vec<(&'a str, bool)>,
    exports: Vec<&'a str>,
    allocations: FuncValidatorAllocations,
}

/// Refuses what is no plugin, or too much for the compiler.
///
/// # Errors
/// Why it is not accepted.
pub(super) fn check(component: &[u8]) -> Result<(), LoadError> {
    let mut outline = Outline::default();
    outline.read(component)?;
    check_imports(outline.imports.into_iter())?;
    check_exports(|name| outline.exports.contains(&name))
}

impl<'a> Outline<'a> {
    fn read(&mut self, component: &'a [u8]) -> Result<(), LoadError> {
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload?;
            let valid = validator.payload(&payload)?;
            match payload {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(LoadError::Invalid("it is a core module".to_owned()));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let import = import?;
                        // A name for a type of an interface that is imported as well.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            self.imports.push((import.name.name, matches!(import.ty, ComponentTypeRef::Func(_))));
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        self.exports.push(export?.name.name);
                    }
                }
                _ => {}
            }
            if let ValidPayload::Func(function, body) = valid {
                self.check_function(function, &body)?;
            }
        }
        Ok(())
    }

    /// The compiler follows every value of a function through all of it.
    fn check_function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody,
    ) -> Result<(), LoadError> {
        let index = function.index;
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader)?;
        let mut operands = 0;
        while !reader.eof() {
            reader.visit_operator(&mut validator.visitor(reader.original_position()))??;
            operands = operands.max(validator.operand_stack_height());
        }
        reader.finish_expression(&validator.visitor(reader.original_position()))?;
        let values = validator.len_locals() + operands;
        let size_bytes = body.range().len();
        self.allocations = validator.into_allocations();
        if size_bytes as u64 * (u64::from(values) + VALUES_OF_A_BYTE) <= MAX_FUNCTION {
            return Ok(());
        }
        Err(LoadError::TooComplex { function: index, size_bytes, values })
    }
}

impl From<BinaryReaderError> for LoadError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with the exports of a plugin and a core function with so many locals and additions.
    fn component(locals: usize, additions: usize) -> Vec<u8> {
        let locals = "i32 ".repeat(locals);
        let additions = "(drop (i32.add (local.get 0) (i32.const 1)))".repeat(additions);
        let core = format!(r#"(core module $m (func (export "f")) (func (local {locals}) {additions}))"#);
        let lifted = r#"(core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))"#;
        let exports = ["describe", "configure", "process"].map(|name| format!("(export \"{name}\" (func $f))"));
        wat::parse_str(format!("(component {core} {lifted} {})", exports.concat())).expect("WebAssembly")
    }

    #[test]
    fn refuses_a_function_that_takes_the_compiler_too_much_memory() {
        assert_eq!(check(&component(1, 10_000)), Ok(()));
        assert_eq!(check(&component(4_000, 10_000)), Ok(()));
        // Each addition has six bytes.
        let error = check(&component(4_000, 12_000)).expect_err("too much").to_string();
        assert!(error.starts_with("its function 1 has 72005 bytes and 4002 locals and operands, "), "{error}");
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        let whole = component(1, 1);
        for (bytes, expected) in [
            (&whole[..whole.len() - 1], "it is no valid WebAssembly component: unexpected end-of-file (at offset "),
            (
                &wat::parse_str("(module)").expect("WebAssembly"),
                "it is no valid WebAssembly component: it is a core module",
            ),
            (
                &wat::parse_str("(component)").expect("WebAssembly"),
                "it exports no function describe, so it is no Sluice",
            ),
        ] {
            let error = check(bytes).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
