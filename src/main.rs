fn main() -> std::process::ExitCode {
    rialto::cli::main()
}
