# Completion of cityhub: commands and options are what the program says of itself.
_cityhub() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} commands=() at
  case $before in
    --config | --token-file | --input | --devices | --rules | --data-dir)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    case ${COMP_WORDS[at]} in
      -*) ;;
      *) [[ ${COMP_WORDS[at - 1]} == -* ]] || commands+=("${COMP_WORDS[at]}") ;;
    esac
  done
  mapfile -t COMPREPLY < <(compgen -W "$(
    cityhub help "${commands[@]}" 2> /dev/null |
      grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+|^  [a-z]+( |$)' | grep -oE -- '--[a-z-]+|^  [a-z]+' | tr -d ' '
  )" -- "$word")
}
complete -F _cityhub cityhub
