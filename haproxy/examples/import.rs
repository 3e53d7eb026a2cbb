//! Shows what an import makes of a file.
fn main() {
    let file = std::env::args().nth(1).expect("a file");
    let text = std::fs::read(&file).expect("readable");
    match weir_haproxy::import(&file, &text, &weir_haproxy::Machine) {
        Ok(import) => {
            print!("{}", import.weir);
            eprintln!("{}", import.remarks);
        }
        Err(problems) => {
            eprintln!("{problems}");
            std::process::exit(1)
        }
    }
}
