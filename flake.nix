# What the two commands of README.md need: `nix develop`, then npm ci && npm start, or npm ci && npm test.
#
# npm and pip bring programs that were built for other systems than NixOS (Node 24, nats-server, the embedded ClickHouse
# engine, the linter): on Linux the shell is one in which such programs run. `nix run . -- -c "npm ci && npm start"` does
# it without a prompt.
{
  description = "Activity: audit logs and Kubernetes Events as a record that people can read";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";

  outputs =
    { self, nixpkgs }:
    let
      tools =
        pkgs: with pkgs; [
          git
          nodejs_24
          nats-server
          # The rest is for the whole suite of tests.
          go
          jdk17_headless
          (python3.withPackages (python: [ python.pip ]))
          kubectl
          openssl
        ];
      forEach =
        systems: make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      darwin = [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      environment =
        pkgs:
        pkgs.buildFHSEnv {
          name = "activity-environment";
          targetPkgs = tools;
          runScript = "bash";
        };
    in
    {
      packages = forEach linux (pkgs: {
        default = environment pkgs;
      });

      apps = forEach linux (pkgs: {
        default = {
          type = "app";
          program = "${environment pkgs}/bin/activity-environment";
        };
      });

      devShells =
        forEach linux (pkgs: {
          default = (environment pkgs).env;
        })
        // forEach darwin (pkgs: {
          default = pkgs.mkShell { packages = tools pkgs; };
        });
    };
}
