#!/bin/sh
# Writes the files by which containerd pulls through larder into a folder of a node, and takes them away again. Touches
# only what it wrote: its files begin with a line that says so. Needs a POSIX shell and its usual programs, as in busybox.
#
#   larder-nodes.sh install STAGING TARGET   makes TARGET have what is in STAGING, and nothing that was there before
#   larder-nodes.sh remove TARGET            takes away all that install wrote
#   larder-nodes.sh hold                     does nothing until SIGTERM
set -euf

mark='# Owned by larder-nodes.sh, which writes it anew and removes it: changes here are lost.'
unfinished=.larder-nodes.new

say() {
  printf 'larder-nodes: %s\n' "$1" >&2
}

fail() {
  say "$1"
  exit 1
}

# Tells whether a file was written by this script. What is behind a link is somebody else's.
is_ours() {
  [ ! -L "$1" ] && [ -f "$1" ] && [ "$(head -n 1 "$1")" = "$mark" ]
}

is_there() {
  [ -e "$1" ] || [ -L "$1" ]
}

# Prints the files below a folder, from there. Links are not followed.
files() {
  (cd "$1" && find . -type f ! -name "$unfinished" | sed 's|^\./||' | sort)
}

# Prints what stands in the way of writing a file: that file, or a link or file in the place of its folder.
in_the_way() {
  path=$2
  folder=$(dirname "$path")
  if [ "$folder" != . ] && is_there "$1/$folder" && { [ -L "$1/$folder" ] || [ ! -d "$1/$folder" ]; }; then
    printf '%s\n' "$1/$folder"
  elif is_there "$1/$path" && ! is_ours "$1/$path"; then
    printf '%s\n' "$1/$path"
  fi
}

# Writes one file whole, or not at all.
write() {
  from=$1 to=$2
  folder=$(dirname "$to")
  mkdir -p "$folder"
  {
    printf '%s\n' "$mark"
    cat "$from"
  } >"$folder/$unfinished"
  if is_there "$to" && cmp -s "$folder/$unfinished" "$to"; then
    rm "$folder/$unfinished"
    return
  fi
  chmod 0644 "$folder/$unfinished"
  mv "$folder/$unfinished" "$to"
  say "wrote $to"
}

# Takes away our files that are not among the wanted ones, and folders that are empty then.
prune() {
  target=$1 wanted=$2
  find "$target" -name "$unfinished" -type f -exec rm {} +
  files "$target" | while IFS= read -r path; do
    if is_ours "$target/$path" && ! printf '%s\n' "$wanted" | grep -Fqx -e "$path"; then
      rm "$target/$path"
      say "removed $target/$path"
      folder=$(dirname "$path")
      [ "$folder" = . ] || rmdir "$target/$folder" 2>/dev/null || true
    fi
  done
}

install() {
  staging=$1 target=$2
  [ -d "$staging" ] || fail "there is no folder $staging"
  [ -d "$target" ] || fail "there is no folder $target"
  wanted=$(files "$staging")
  [ -n "$wanted" ] || fail "there are no files in $staging"
  foreign=$(printf '%s\n' "$wanted" | while IFS= read -r path; do in_the_way "$target" "$path"; done)
  [ -z "$foreign" ] || fail "nothing was written, since these are not larder's: $(printf '%s' "$foreign" | tr '\n' ' ')"
  printf '%s\n' "$wanted" | while IFS= read -r path; do
    write "$staging/$path" "$target/$path"
  done
  prune "$target" "$wanted"
}

hold() {
  trap 'exit 0' TERM INT
  while :; do
    sleep 3600 &
    wait $!
  done
}

case "${1-} $#" in
  'install 3') install "$2" "$3" ;;
  'remove 2')
    [ -d "$2" ] || fail "there is no folder $2"
    prune "$2" ''
    ;;
  'hold 1') hold ;;
  *) fail 'usage: larder-nodes.sh install STAGING TARGET | remove TARGET | hold' ;;
esac
